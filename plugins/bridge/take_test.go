package bridge

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

var testOwner = plan.Owner{Network: "net", ContainerID: "c1", IfName: "eth0"}

func typeName(o plan.Object) string { return fmt.Sprintf("%T", o) }

// result parses what an IPAM plugin answers, without its version.
func result(t *testing.T, text string) *current.Result {
	t.Helper()
	var res current.Result
	if err := json.Unmarshal([]byte(text), &res); err != nil {
		t.Fatal(err)
	}
	return &res
}

func routesText(routes []*types.Route) string {
	var list []string
	for _, r := range routes {
		text := r.Dst.String()
		if r.GW != nil {
			text += " via " + r.GW.String()
		}
		list = append(list, text)
	}
	return strings.Join(list, ", ")
}

// taken are the inputs of a configuration after the IPAM plugin's answer.
func taken(t *testing.T, conf, lease string) *inputs {
	t.Helper()
	c, err := Read(request(conf))
	if err != nil {
		t.Fatal(err)
	}
	in := &inputs{conf: c, owner: testOwner, mac: c.MAC}
	in.take(result(t, lease))
	return in
}

// TestTake: gateways and default routes where the IPAM plugin gives none.
func TestTake(t *testing.T) {
	const v4, v6 = `{"address": "10.1.0.2/24"}`, `{"address": "fd00::2/64"}`
	const v4gw, v6gw = `{"address": "10.1.0.2/24", "gateway": "10.1.0.9"}`, `{"address": "fd00::2/64", "gateway": "fd00::9"}`
	tests := []struct{ name, conf, lease, gateways, routes string }{
		{"nothing asked for", `{}`, `{"ips": [` + v4 + `]}`, "<nil>", ""},
		{"the plugin's gateway", `{}`, `{"ips": [` + v4gw + `]}`, "10.1.0.9", ""},
		{"gateway", `{"isGateway": true}`, `{"ips": [` + v4 + `, ` + v6 + `]}`, "10.1.0.1 fd00::1", ""},
		{"gateway, the plugin's first", `{"isGateway": true}`, `{"ips": [` + v4gw + `]}`, "10.1.0.9", ""},
		{"default", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `, ` + v6gw + `]}`, "10.1.0.1 fd00::9", "0.0.0.0/0 via 10.1.0.1, ::/0 via fd00::9"},
		{"default is there", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.7"}]}`, "10.1.0.1", "0.0.0.0/0 via 10.1.0.7"},
		{"default is there without gateway", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `], "routes": [{"dst": "0.0.0.0/0"}]}`, "10.1.0.1", "0.0.0.0/0"},
		{"default of the other family", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `, ` + v6 + `], "routes": [{"dst": "::/0"}]}`, "10.1.0.1 fd00::1", "::/0, 0.0.0.0/0 via 10.1.0.1"},
		{"default of another table", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `], "routes": [{"dst": "0.0.0.0/0", "table": 100}]}`, "10.1.0.1", "0.0.0.0/0, 0.0.0.0/0 via 10.1.0.1"},
		{"default of table main by its number", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `], "routes": [{"dst": "0.0.0.0/0", "table": 254}]}`, "10.1.0.1", "0.0.0.0/0"},
		{"one default for two addresses", `{"isDefaultGateway": true}`, `{"ips": [` + v4 + `, {"address": "10.2.0.2/24"}]}`, "10.1.0.1 10.2.0.1", "0.0.0.0/0 via 10.1.0.1"},
		{"no default", `{"noDefaultRoute": true}`, `{"ips": [` + v4 + `], "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16"}, {"dst": "::/0"}]}`, "<nil>", "10.9.0.0/16"},
		{"host bits", `{}`, `{"ips": [` + v4 + `], "routes": [{"dst": "10.9.2.3/24"}, {"dst": "fd09::3/64", "gw": "fd00::7"}]}`, "<nil>", "10.9.2.0/24, fd09::/64 via fd00::7"},
		{"layer 2", `{"isDefaultGateway": true}`, `{}`, "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := taken(t, tt.conf, tt.lease)
			var gateways []string
			for _, ip := range in.ips {
				gateways = append(gateways, ip.Gateway.String())
				if ip.Interface == nil || *ip.Interface != 2 {
					t.Error("the address is not of the container's interface")
				}
			}
			if got := strings.Join(gateways, " "); got != tt.gateways {
				t.Errorf("gateways: got %s, want %s", got, tt.gateways)
			}
			if got := routesText(in.routes); got != tt.routes {
				t.Errorf("routes: got %s, want %s", got, tt.routes)
			}
		})
	}
}

// TestGatewaysWork: a gateway that can't work is refused if something uses it, and no other.
func TestGatewaysWork(t *testing.T) {
	const own, outside = "ipam: gateway: 10.1.0.2 is the container's own address: name another gateway, or give the container another address",
		`ipam: gateway: 10.9.0.1 is in no subnet of the container [%s]: name one that is, or add the route {"dst": "10.9.0.1/32", "scope": 253}`
	const missing = `ipam: gateway: missing, and the subnet of address %s has no room for one: name one with a route to it of "scope": 253, or give the address a shorter prefix`
	tests := []struct{ name, conf, lease, want string }{
		{"layer 2", `{"isDefaultGateway": true}`, `{}`, ""},
		{"in the subnet", `{"isDefaultGateway": true}`, `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.9"}, {"address": "fd00::2/64"}]}`, ""},
		{"own", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.2"}]}`, own},
		{"own, a route's", `{}`, `{"ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "10.8.0.0/16", "gw": "10.1.0.2"}]}`, own},
		{"own, by default", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.1/24"}]}`, strings.Replace(own, "0.2", "0.1", 1)},
		{"another address's own", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.9/24"}, {"address": "10.1.0.2/24", "gateway": "10.1.0.9"}]}`, strings.Replace(own, "0.2", "0.9", 1)},
		{"own, unused", `{}`, `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.2"}]}`, ""},
		{"outside", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.2/32", "gateway": "10.9.0.1"}]}`, fmt.Sprintf(outside, "10.1.0.2/32")},
		{"outside, a route's", `{}`, `{"ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.9.0.1"}]}`, fmt.Sprintf(outside, "10.1.0.2/24")},
		{"outside, unused", `{}`, `{"ips": [{"address": "10.1.0.2/32", "gateway": "10.9.0.1"}]}`, ""},
		{"outside, on link", `{"isDefaultGateway": true}`, `{"ips": [{"address": "10.1.0.2/32", "gateway": "10.9.0.1"}], "routes": [{"dst": "10.9.0.1/32", "scope": 253}]}`, ""},
		{"outside, a route by another gateway", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.2/24"}, {"address": "10.2.0.2/24", "gateway": "10.9.0.1"}], "routes": [{"dst": "10.9.0.0/16"}]}`, fmt.Sprintf(outside, "10.1.0.2/24 10.2.0.2/24")},
		{"in another address's subnet", `{"isGateway": true}`, `{"ips": [{"address": "10.9.0.2/24"}, {"address": "10.1.0.2/32", "gateway": "10.9.0.1"}]}`, ""},
		{"link-local", `{"isDefaultGateway": true}`, `{"ips": [{"address": "fd00::2/128", "gateway": "fe80::1"}]}`, ""},
		{"link-local, IPv4", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.2/24", "gateway": "169.254.1.1"}]}`, strings.ReplaceAll(fmt.Sprintf(outside, "10.1.0.2/24"), "10.9.0.1", "169.254.1.1")},
		{"no room", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.2/32"}]}`, fmt.Sprintf(missing, "10.1.0.2/32")},
		{"no room, IPv6", `{"isDefaultGateway": true}`, `{"ips": [{"address": "fd00::2/128"}]}`, fmt.Sprintf(missing, "fd00::2/128")},
		{"no room, no gateway", `{}`, `{"ips": [{"address": "10.1.0.2/32"}]}`, ""},
		{"room for two", `{"isGateway": true}`, `{"ips": [{"address": "10.1.0.2/31"}]}`, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := taken(t, tt.conf, tt.lease)
			wantError(t, in.gatewaysWork(), cni.CodeConfig, tt.want)
		})
	}
}

// TestTakeMAC: the first address decides, unless somebody asks for one.
func TestTakeMAC(t *testing.T) {
	tests := []struct{ conf, lease, want string }{
		{`{}`, `{"ips": [{"address": "10.1.0.2/24"}, {"address": "fd00::2/64"}]}`, "0a:58:0a:01:00:02"},
		{`{"runtimeConfig": {"mac": "0a:00:00:00:00:01"}}`, `{"ips": [{"address": "10.1.0.2/24"}]}`, "0a:00:00:00:00:01"},
		{`{}`, `{"ips": [{"address": "fd00::2/64"}]}`, testOwner.ContainerMAC(cidr("fd00::2/64").IP).String()},
		{`{}`, `{}`, testOwner.ContainerMAC(nil).String()},
	}
	for _, tt := range tests {
		in := taken(t, tt.conf, tt.lease)
		if in.mac.String() != tt.want {
			t.Errorf("%s %s: got %s, want %s", tt.conf, tt.lease, in.mac, tt.want)
		}
	}
}

// TestFits: a link below 1280 bytes has no IPv6.
func TestFits(t *testing.T) {
	for config, want := range map[string]string{
		`{"mtu": 1280}`: "",
		`{"mtu": 1279}`: "mtu: 1279 is below 1280 bytes, which the IPv6 address fd00::2 needs",
		`{}`:            "mtu: 576 is below 1280 bytes, which the IPv6 address fd00::2 needs",
	} {
		c, err := Read(request(config))
		if err != nil {
			t.Fatal(err)
		}
		in := inputs{conf: c, owner: testOwner, facts: link.Facts{MTU: 576}}
		in.take(result(t, `{"ips": [{"address": "10.1.0.2/24"}, {"address": "fd00::2/64"}]}`))
		wantError(t, in.fits(), cni.CodeConfig, want)
	}
}

// TestRoute: a route's own gateway, else that of its family's first address.
func TestRoute(t *testing.T) {
	const both = `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}, {"address": "10.2.0.2/24", "gateway": "10.2.0.1"}, {"address": "fd00::2/64", "gateway": "fd00::1"}], "routes": `
	tests := []struct{ name, conf, lease, want string }{
		{"own", `{}`, both + `[{"dst": "10.9.0.0/16", "gw": "10.1.0.7"}]}`, "10.9.0.0/16 via 10.1.0.7"},
		{"the first's", `{}`, both + `[{"dst": "0.0.0.0/0"}, {"dst": "::/0"}]}`, "0.0.0.0/0 via 10.1.0.1, ::/0 via fd00::1"},
		{"stays on the link", `{}`, both + `[{"dst": "10.9.0.0/16", "scope": 253}]}`, "10.9.0.0/16 scope 253"},
		{"scope global by its number", `{}`, both + `[{"dst": "10.9.0.0/16", "scope": 0}]}`, "10.9.0.0/16 via 10.1.0.1"},
		{"no gateway anywhere", `{}`, `{"ips": [{"address": "10.1.0.2/24"}], "routes": [{"dst": "10.9.0.0/16"}]}`, "10.9.0.0/16"},
		{"everything", `{}`, both + `[{"dst": "10.9.0.0/16", "mtu": 1400, "advmss": 1300, "priority": 5, "table": 100}]}`, "10.9.0.0/16 via 10.1.0.1 metric 5 table 100 mtu 1400 advmss 1300"},
		{"metric of the network", `{"routeMetric": 7}`, both + `[{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16", "priority": 5}]}`, "0.0.0.0/0 via 10.1.0.1 metric 7, 10.9.0.0/16 via 10.1.0.1 metric 5"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			in := taken(t, tt.conf, tt.lease)
			var list []string
			for _, r := range in.routes {
				list = append(list, kernelRoute(in.route(r, in.addresses())))
			}
			if got := strings.Join(list, ", "); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func kernelRoute(r link.Route) string {
	text := r.Dst.String()
	if r.Gw.IsValid() {
		text += " via " + r.Gw.String()
	}
	for _, f := range []struct {
		name  string
		value int
	}{{"metric", r.Priority}, {"table", r.Table}, {"scope", r.Scope}, {"mtu", r.MTU}, {"advmss", r.AdvMSS}} {
		if f.value != 0 {
			text += fmt.Sprintf(" %s %d", f.name, f.value)
		}
	}
	return text
}
