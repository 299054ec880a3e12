package publish

import (
	"fmt"
	"net/netip"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

func prefixes(text string) []netip.Prefix {
	var list []netip.Prefix
	for _, s := range strings.Fields(text) {
		list = append(list, netip.MustParsePrefix(s))
	}
	return list
}

// TestPorts: which address of the host leads to which of the container's.
func TestPorts(t *testing.T) {
	const v4, v6 = "10.1.0.2/24", "fd00::2/64"
	const wrong = "runtimeConfig.portMappings[0].hostIP: %s: the container has no address of that family: use a hostIP of the other, or none"
	tests := []struct{ name, hostIP, addrs, want, err string }{
		{"any", "", v4, "any:80 to 10.1.0.2:8080", ""},
		{"any, IPv6", "", v6, "any:80 to [fd00::2]:8080", ""},
		{"any, dual", "", v6 + " " + v4, "any:80 to 10.1.0.2:8080, any:80 to [fd00::2]:8080", ""},
		{"the first of each family", "", v4 + " 10.2.0.2/24 " + v6 + " fd01::2/64", "any:80 to 10.1.0.2:8080, any:80 to [fd00::2]:8080", ""},
		{"IPv4 only", "0.0.0.0", v4 + " " + v6, "any:80 to 10.1.0.2:8080", ""},
		{"IPv6 only", "::", v4 + " " + v6, "any:80 to [fd00::2]:8080", ""},
		{"one", "192.0.2.1", v4 + " " + v6, "192.0.2.1:80 to 10.1.0.2:8080", ""},
		{"loopback", "127.0.0.1", v4, "127.0.0.1:80 to 10.1.0.2:8080", ""},
		{"one, IPv6", "2001:db8::1", v4 + " " + v6, "2001:db8::1:80 to [fd00::2]:8080", ""},
		{"one of the other family", "192.0.2.1", v6, "", fmt.Sprintf(wrong, "192.0.2.1")},
		{"one of the other family, IPv6", "::1", v4, "", fmt.Sprintf(wrong, "::1")},
		{"all of the other family", "::", v4, "", fmt.Sprintf(wrong, "::")},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse(request(mappings(`{"hostPort": 80, "containerPort": 8080, "hostIP": "` + tt.hostIP + `"}`)))
			if err != nil {
				t.Fatal(err)
			}
			list, err := c.ports(prefixes(tt.addrs))
			wantError(t, err, cni.CodeConfig, tt.err)
			var texts []string
			for _, p := range list {
				host := "any"
				if p.HostIP.IsValid() {
					host = p.HostIP.String()
				}
				texts = append(texts, fmt.Sprintf("%s:%d to %s", host, p.HostPort, p.Container))
			}
			if got := strings.Join(texts, ", "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

// TestContainerAddresses: those of the attachment, not of bridge, host or another
// link of the container.
func TestContainerAddresses(t *testing.T) {
	const links = `"interfaces": [{"name": "cni0"}, {"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/c1"}, {"name": "eth1", "sandbox": "/run/netns/c1"}]`
	tests := []struct{ name, prev, want string }{
		{"ours", links + `, "ips": [{"interface": 2, "address": "10.1.0.2/24"}, {"interface": 2, "address": "fd00::2/64"}]`, "[10.1.0.2/24 fd00::2/64]"},
		{"others'", links + `, "ips": [{"interface": 0, "address": "10.1.0.1/24"}, {"interface": 3, "address": "10.2.0.2/24"}]`, "[]"},
		{"of no link", links + `, "ips": [{"address": "10.1.0.2/24"}]`, "[10.1.0.2/24]"},
		{"of a link that is not listed", links + `, "ips": [{"interface": 9, "address": "10.1.0.2/24"}, {"interface": -1, "address": "10.1.0.3/24"}]`, "[10.1.0.2/24 10.1.0.3/24]"},
		{"no links", `"ips": [{"interface": 2, "address": "10.1.0.2/24"}]`, "[10.1.0.2/24]"},
		{"the host's link of the same name", `"interfaces": [{"name": "eth0"}], "ips": [{"interface": 0, "address": "10.1.0.2/24"}]`, "[]"},
		{"IPv4 in IPv6", `"ips": [{"address": "::ffff:10.1.0.2/120"}]`, "[10.1.0.2/24]"},
		{"none", links, "[]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			prev, err := request(`{"prevResult": {"cniVersion": "1.1.0", ` + tt.prev + `}}`).Prev()
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprint(cni.Addresses(prev, "eth0")); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestLoopback: only where a loopback address is to lead to containers, the host is
// told to route it.
func TestLoopback(t *testing.T) {
	tests := []struct {
		hostIP, addrs string
		v4, v6        bool
	}{
		{"", "10.1.0.2/24", true, false},
		{"", "fd00::2/64", false, true},
		{"", "10.1.0.2/24 fd00::2/64", true, true},
		{"0.0.0.0", "10.1.0.2/24 fd00::2/64", true, false},
		{"127.0.0.1", "10.1.0.2/24", true, false},
		{"127.0.0.53", "10.1.0.2/24", true, false},
		{"192.0.2.1", "10.1.0.2/24", false, false},
		{"::", "10.1.0.2/24 fd00::2/64", false, true},
		{"::1", "fd00::2/64", false, true},
		{"2001:db8::1", "fd00::2/64", false, false},
	}
	for _, tt := range tests {
		c, err := parse(request(mappings(`{"hostPort": 80, "containerPort": 8080, "hostIP": "` + tt.hostIP + `"}`)))
		if err != nil {
			t.Fatal(err)
		}
		ports, err := c.ports(prefixes(tt.addrs))
		if err != nil {
			t.Fatal(err)
		}
		in := inputs{conf: c, ports: ports}
		if v4, v6 := in.loopback(true), in.loopback(false); v4 != tt.v4 || v6 != tt.v6 {
			t.Errorf("hostIP %q, container %s: got %t, %t, want %t, %t", tt.hostIP, tt.addrs, v4, v6, tt.v4, tt.v6)
		}
	}
	if (inputs{}).loopback(true) || (inputs{}).loopback(false) {
		t.Error("no ports: got true")
	}
}

func TestFirst(t *testing.T) {
	for in, want := range map[string]string{
		"":                                  "invalid IP invalid IP",
		"fd00::2/64":                        "invalid IP fd00::2",
		"fd00::2/64 10.1.0.2/24 10.1.0.3/8": "10.1.0.2 fd00::2",
	} {
		list := prefixes(in)
		if got := fmt.Sprint(first(list, true), " ", first(list, false)); got != want {
			t.Errorf("%q: got %s, want %s", in, got, want)
		}
	}
}

func TestTolerantMappings(t *testing.T) {
	tests := []struct{ name, config, want string }{
		{"good", mappings(`{"hostPort": 80, "containerPort": 8080}`), ", 6 80 to 8080"},
		{"some bad", mappings(`{"hostPort": "x"}, 5, null, {"hostPort": 80, "containerPort": 8080}, {"hostPort": 0}`), ", 6 80 to 8080"},
		{"other keys bad", `{"backend": 5, "snat": "x", "runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 8080}]}}`, ", 6 80 to 8080"},
		{"not a list", `{"runtimeConfig": {"portMappings": "x"}}`, ""},
		{"no JSON", `{"runtimeConfig": {"portMap`, ""},
		{"nothing", ``, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := mappingsText(tolerantMappings(request(tt.config))); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}
