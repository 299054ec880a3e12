package bridge

import (
	"fmt"
	"net"
	"net/netip"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

func cidr(s string) net.IPNet {
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return net.IPNet{IP: ip, Mask: n.Mask}
}

// TestTakePrevious: ours alone, whatever chained plugins added.
func TestTakePrevious(t *testing.T) {
	const links = `"interfaces": [{"name": "cni0"}, {"name": "eth0"}, {"name": "eth0", "mac": "0a:58:0a:01:00:02", "sandbox": "/run/netns/c1"}, {"name": "eth1", "mac": "0a:58:0a:01:00:03", "sandbox": "/run/netns/c1"}]`
	tests := []struct{ name, prev, want, err string }{
		{"ours", links + `, "ips": [{"interface": 2, "address": "10.1.0.2/24"}, {"interface": 3, "address": "10.2.0.2/24"}, {"interface": 0, "address": "10.1.0.1/24"}]`, "0a:58:0a:01:00:02 [10.1.0.2/24] ", ""},
		{"of no interface", links + `, "ips": [{"address": "10.1.0.2/24"}]`, "0a:58:0a:01:00:02 [10.1.0.2/24] ", ""},
		{"routes by our gateway", links + `, "ips": [{"interface": 2, "address": "10.1.0.2/24"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}, {"dst": "10.9.0.0/16"}, {"dst": "10.8.0.0/16", "gw": "10.2.0.1"}]`, "0a:58:0a:01:00:02 [10.1.0.2/24] 0.0.0.0/0 via 10.1.0.1, 10.9.0.0/16", ""},
		{"routes by a gateway outside", links + `, "ips": [{"interface": 2, "address": "fd00::2/64", "gateway": "fe80::1"}], "routes": [{"dst": "::/0", "gw": "fe80::1"}, {"dst": "fd09::/64", "gw": "fe80::2"}]`, "0a:58:0a:01:00:02 [fd00::2/64] ::/0 via fe80::1", ""},
		{"no interface", `"ips": [{"address": "10.1.0.2/24"}]`, "", "prevResult: no interface eth0 with a sandbox in it"},
		{"only the host's of this name", `"interfaces": [{"name": "eth0", "mac": "0a:58:0a:01:00:02"}]`, "", "prevResult: no interface eth0 with a sandbox in it"},
		{"no MAC", `"interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}]`, " [] ", ""}, // versions before 0.3.0 have none
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, err := request(`{"prevResult": {"cniVersion": "1.1.0", ` + tt.prev + `}}`).Prev()
			if err != nil {
				t.Fatal(err)
			}
			in := inputs{conf: &Conf{}, owner: testOwner}
			err = in.takePrevious(prev)
			wantError(t, err, cni.CodeConfig, tt.err)
			if err != nil {
				return
			}
			var addrs []netip.Prefix
			for _, a := range in.addresses() {
				addrs = append(addrs, a.prefix)
			}
			if got := fmt.Sprint(in.mac, " ", addrs, " ", routesText(in.routes)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestTakePreviousRound: CHECK with ADD's own result plans what ADD planned.
func TestTakePreviousRound(t *testing.T) {
	for _, name := range []string{"dual-stack", "ipv6", "isolated"} {
		in := planned(t, "testdata/"+name+".json")
		req := request(`{}`)
		text, err := cni.Encode(in.result(req, in.conf.DNS), "1.1.0")
		if err != nil {
			t.Fatal(err)
		}
		prev, err := request(`{"prevResult": ` + string(text) + `}`).Prev()
		if err != nil {
			t.Fatal(err)
		}
		again := inputs{conf: in.conf, owner: in.owner, facts: in.facts}
		if err := again.takePrevious(prev); err != nil {
			t.Fatal(err)
		}
		if got, want := again.plan().String(), in.plan().String(); got != want {
			t.Errorf("%s: got:\n%s\nwant:\n%s", name, got, want)
		}
	}
}

func TestBridgeName(t *testing.T) {
	for config, want := range map[string]string{
		`{"bridge": "br0"}`: "br0", `{}`: "cni0", ``: "cni0", `{"bridge": ""}`: "cni0", `{"bridge": null}`: "cni0",
		`{"mtu": "x", "bridge": "br0"}`: "br0",
	} {
		if got := bridgeName(&cni.Request{Config: []byte(config)}); got != want {
			t.Errorf("%s: got %s, want %s", config, got, want)
		}
	}
}

// TestResult: what the runtime is told.
func TestResult(t *testing.T) {
	in := planned(t, "testdata/ipv4.json")
	text, err := cni.Encode(in.result(request(`{}`), in.conf.DNS), "1.1.0")
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"cniVersion":"1.1.0","interfaces":[{"mac":"02:00:00:00:00:01","mtu":1500,"name":"cni0"},{"mac":"$HOST","mtu":1500,"name":"$LINK"},{"mac":"0a:58:0a:58:00:02","mtu":1500,"name":"eth0","sandbox":"/run/netns/c1"}],"ips":[{"address":"10.88.0.2/16","gateway":"10.88.0.1","interface":2}],"routes":[{"dst":"0.0.0.0/0","gw":"10.88.0.1"}]}`
	got := strings.NewReplacer(in.owner.HostMAC().String(), "$HOST", in.owner.LinkName(), "$LINK").Replace(strings.Join(strings.Fields(string(text)), ""))
	if got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}
