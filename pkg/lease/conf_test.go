package lease

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// request makes a request of a configuration; without a version it is the newest.
func request(config string) *cni.Request {
	return &cni.Request{
		Command: "ADD", ContainerID: "c1", IfName: "eth0", Network: "net", CNIVersion: "1.1.0", Config: []byte(config),
	}
}

// wantError compares code and text; an empty text means success.
func wantError(t *testing.T, err error, code uint, text string) {
	t.Helper()
	if text == "" {
		if err != nil {
			t.Errorf("got error %q, want none", err)
		}
		return
	}
	if err == nil {
		t.Errorf("got no error, want %q", text)
		return
	}
	if got := cni.Code(err); got != code || err.Error() != text {
		t.Errorf("got  code %d: %s\nwant code %d: %s", got, err, code, text)
	}
}

func TestParse(t *testing.T) {
	const config = `{
		"ipam": {
			"type": "host-local", "dataDir": "/tmp/x",
			"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.10", "rangeEnd": "10.1.0.20", "gateway": "10.1.0.254",
			"ranges": [[{"subnet": "10.2.0.0/30"}, {"subnet": "10.2.0.4/30"}], [{"subnet": "fd00::/64"}]],
			"routes": [
				{"dst": "0.0.0.0/0"},
				{"dst": "10.9.1.1/16", "gw": "10.1.0.9", "mtu": 1400, "advmss": 1300, "priority": 5, "table": 100, "scope": 253}
			]
		},
		"runtimeConfig": {"ipRanges": [[{"subnet": "10.3.0.0/24"}]]}
	}`
	c, err := Parse(request(config))
	if err != nil {
		t.Fatal(err)
	}
	var sets []string
	for _, s := range c.Sets {
		sets = append(sets, s.String())
	}
	if want := []string{
		"10.3.0.1-10.3.0.254 of 10.3.0.0/24",
		"10.1.0.10-10.1.0.20 of 10.1.0.0/24",
		"10.2.0.1-10.2.0.2 of 10.2.0.0/30, 10.2.0.5-10.2.0.6 of 10.2.0.4/30",
		"fd00::1-fd00::ffff:ffff:ffff:ffff of fd00::/64",
	}; !slices.Equal(sets, want) {
		t.Errorf("sets: got %q, want %q", sets, want)
	}
	if gw := c.Sets[1][0].Gateway.String(); gw != "10.1.0.254" {
		t.Errorf("gateway: got %s", gw)
	}
	routes, err := json.Marshal(c.Routes)
	if want := `[{"dst":"0.0.0.0/0"},{"dst":"10.9.0.0/16","gw":"10.1.0.9","mtu":1400,"advmss":1300,"priority":5,"table":100,"scope":253}]`; err != nil || string(routes) != want {
		t.Errorf("routes: got %s, %v\nwant %s", routes, err, want)
	}
	if c.DataDir != "/tmp/x" {
		t.Errorf("dataDir: got %s", c.DataDir)
	}
}

func TestParseDefaults(t *testing.T) {
	c, err := Parse(request(`{"ipam": {"ranges": [[{"subnet": "10.1.0.0/24"}]]}}`))
	if err != nil {
		t.Fatal(err)
	}
	r := c.Sets[0][0]
	if got := fmt.Sprint(r, " ", r.Gateway, " ", c.DataDir); got != "10.1.0.1-10.1.0.254 10.1.0.1 /var/lib/cni/networks" {
		t.Errorf("got %s", got)
	}
	if len(c.Routes) != 0 || len(c.Requested) != 0 || !c.DNS.IsEmpty() {
		t.Errorf("got %+v", c)
	}
}

// TestLinkLocalGateway: an IPv6 router need not be in the subnet, whose first address is free then.
func TestLinkLocalGateway(t *testing.T) {
	p := newPool(t, `[{"subnet": "fd00::/64", "gateway": "fe80::1"}]`)
	res, err := Add(p.request("c1", ""))
	if err != nil {
		t.Fatal(err)
	}
	if ip := res.IPs[0]; ip.Address.String() != "fd00::1/64" || ip.Gateway.String() != "fe80::1" {
		t.Errorf("got %s via %s", ip.Address.String(), ip.Gateway)
	}
}

func TestParseErrors(t *testing.T) {
	const v4 = `"ranges": [[{"subnet": "10.1.0.0/24"}]]`
	tests := []struct {
		name, ipam string // the value of "ipam"
		want       string
	}{
		{"no ipam", `null`, `ipam: missing: host-local needs at least {"ranges": [[{"subnet": "10.88.0.0/16"}]]}`},
		{"empty", `{}`, `ipam.ranges: no range given: add [[{"subnet": "10.88.0.0/16"}]]`},
		{"dataDir", `{"dataDir": "x", ` + v4 + `}`, `ipam.dataDir: "x" is not an absolute path`},
		{"old style without subnet", `{"rangeStart": "10.1.0.5", ` + v4 + `}`, `ipam.subnet: missing, but rangeStart, rangeEnd or gateway stand beside it: put all of them into "ranges"`},
		{"old style, no length", `{"subnet": "10.1.0.0"}`, `ipam.subnet: "10.1.0.0" is not a CIDR such as 10.88.0.0/16`},
		{"no subnet", `{"ranges": [[{}]]}`, `ipam.ranges[0][0].subnet: "" is not a CIDR such as 10.88.0.0/16`},
		{"empty set", `{"ranges": [[{"subnet": "10.1.0.0/24"}], []]}`, `ipam.ranges[1]: empty: a set needs at least one {"subnet": ...}`},
		{"host bits", `{"ranges": [[{"subnet": "10.1.0.1/24"}]]}`, `ipam.ranges[0][0].subnet: 10.1.0.1/24 has host bits set, the network is 10.1.0.0/24`},
		{"small", `{"ranges": [[{"subnet": "10.1.0.0/31"}]]}`, `ipam.ranges[0][0].subnet: 10.1.0.0/31 is too small: it needs room for a gateway and a container (/30, /126 or shorter)`},
		{"small, IPv6", `{"ranges": [[{"subnet": "fd00::/127"}]]}`, `ipam.ranges[0][0].subnet: fd00::/127 is too small: it needs room for a gateway and a container (/30, /126 or shorter)`},
		{"start", `{"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "x"}]]}`, `ipam.ranges[0][0].rangeStart: "x" is not an IP address`},
		{"start outside", `{"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.2.0.1"}]]}`, `ipam.ranges[0][0].rangeStart: 10.2.0.1 is outside the subnet 10.1.0.0/24`},
		{"end", `{"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.500"}]]}`, `ipam.ranges[0][0].rangeEnd: "10.1.0.500" is not an IP address`},
		{"end of the other family", `{"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "fd00::1"}]]}`, `ipam.ranges[0][0].rangeEnd: fd00::1 is outside the subnet 10.1.0.0/24`},
		{"gateway", `{"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.2.0.1"}]]}`, `ipam.ranges[0][0].gateway: 10.2.0.1 is outside the subnet 10.1.0.0/24`},
		{"gateway, link-local of IPv4", `{"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "169.254.1.1"}]]}`, `ipam.ranges[0][0].gateway: 169.254.1.1 is outside the subnet 10.1.0.0/24`},
		{"gateway, link-local of the other family", `{"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "fe80::1"}]]}`, `ipam.ranges[0][0].gateway: fe80::1 is outside the subnet 10.1.0.0/24`},
		{"gateway, IPv4's in IPv6", `{"ranges": [[{"subnet": "fd00::/64", "gateway": "::ffff:169.254.1.1"}]]}`, `ipam.ranges[0][0].gateway: ::ffff:169.254.1.1 is outside the subnet fd00::/64`},
		{"gateway, link-local with a zone", `{"ranges": [[{"subnet": "fd00::/64", "gateway": "fe80::1%eth0"}]]}`, `ipam.ranges[0][0].gateway: fe80::1%eth0 is outside the subnet fd00::/64`},
		{"start, link-local", `{"ranges": [[{"subnet": "fd00::/64", "rangeStart": "fe80::1"}]]}`, `ipam.ranges[0][0].rangeStart: fe80::1 is outside the subnet fd00::/64`},
		{"zone", `{"ranges": [[{"subnet": "fe80::/64", "gateway": "fe80::1%eth0"}]]}`, `ipam.ranges[0][0].gateway: fe80::1%eth0 is outside the subnet fe80::/64`},
		{"end before start", `{"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.8"}]]}`, `ipam.ranges[0][0].rangeEnd: 10.1.0.8 lies before rangeStart 10.1.0.9`},
		// The address is IPv4 to the kernel and IPv6 to the ranges.
		{"IPv4 in IPv6", `{"ranges": [[{"subnet": "::ffff:10.1.0.0/112"}]]}`, `ipam.ranges[0][0].subnet: "::ffff:10.1.0.0/112" is not a CIDR such as 10.88.0.0/16`},
		{"families mixed", `{"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "fd00::/64"}]]}`, `ipam.ranges[0]: mixes IPv4 and IPv6: give each family a set of its own`},
		{"overlap in a set", `{"ranges": [[{"subnet": "10.1.0.0/24"}, {"subnet": "10.1.0.0/16"}]]}`, `ipam.ranges[0][1]: 10.1.0.1-10.1.255.254 overlaps with 10.1.0.1-10.1.0.254`},
		{"overlap of sets", `{"subnet": "10.1.0.0/16", ` + v4 + `}`, `ipam.ranges[0]: 10.1.0.1-10.1.0.254 of 10.1.0.0/24 overlaps with ipam (10.1.0.1-10.1.255.254 of 10.1.0.0/16): each address may be in one set only`},
		{"route", `{"routes": [{"dst": "default"}], ` + v4 + `}`, `ipam.routes[0].dst: "default" is not a CIDR such as 0.0.0.0/0`},
		{"route without dst", `{"routes": [{"gw": "10.1.0.1"}], ` + v4 + `}`, `ipam.routes[0].dst: "" is not a CIDR such as 0.0.0.0/0`},
		{"gw", `{"routes": [{"dst": "0.0.0.0/0", "gw": "router"}], ` + v4 + `}`, `ipam.routes[0].gw: "router" is not an address of dst's family`},
		{"gw of the other family", `{"routes": [{"dst": "0.0.0.0/0"}, {"dst": "::/0", "gw": "10.1.0.1"}], ` + v4 + `}`, `ipam.routes[1].gw: "10.1.0.1" is not an address of dst's family`},
		{"mtu", `{"routes": [{"dst": "0.0.0.0/0", "mtu": 65536}], ` + v4 + `}`, `ipam.routes[0].mtu: 65536 is outside 0-65535`},
		{"advmss", `{"routes": [{"dst": "0.0.0.0/0", "advmss": -1}], ` + v4 + `}`, `ipam.routes[0].advmss: -1 is outside 0-65535`},
		{"priority", `{"routes": [{"dst": "0.0.0.0/0", "priority": -1}], ` + v4 + `}`, `ipam.routes[0].priority: -1 is outside 0-2147483647`},
		{"table", `{"routes": [{"dst": "0.0.0.0/0", "table": 2147483648}], ` + v4 + `}`, `ipam.routes[0].table: 2147483648 is outside 0-2147483647`},
		{"scope", `{"routes": [{"dst": "0.0.0.0/0", "scope": 256}], ` + v4 + `}`, `ipam.routes[0].scope: 256 is outside 0-255`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := Parse(request(`{"ipam": ` + tt.ipam + `}`))
			wantError(t, err, cni.CodeConfig, tt.want)
		})
	}
}

func TestParseWrongTypes(t *testing.T) {
	tests := []struct{ config, want string }{
		{`{"ipam": []}`, "ipam: wants an object, but has an array"},
		{`{"ipam": {"subnet": 5}}`, "ipam.subnet: wants a string, but has a number"},
		{`{"ipam": {"ranges": [{"subnet": "10.1.0.0/24"}]}}`, "ipam.ranges[0]: wants a list, but has an object"},
		{`{"ipam": {"routes": [{"dst": "0.0.0.0/0", "mtu": "1400"}]}}`, "ipam.routes[0].mtu: wants a whole number, but has a string"},
		{`{"runtimeConfig": {"ips": "10.1.0.2"}}`, "runtimeConfig.ips: wants a list, but has a string"},
	}
	for _, tt := range tests {
		_, err := Parse(request(tt.config))
		wantError(t, err, cni.CodeDecode, tt.want)
	}
	_, err := Parse(request(`{"ipam": {"subnet": "10.1.0.0/24"}, "runtimeConfig": {"ipRanges": [[{"subnet": "x"}]]}}`))
	wantError(t, err, cni.CodeConfig, `runtimeConfig.ipRanges[0][0].subnet: "x" is not a CIDR such as 10.88.0.0/16`)
}

// TestRequested: the runtime before "args" before CNI_ARGS, in each range set.
func TestRequested(t *testing.T) {
	const runtime, args = `"runtimeConfig": {"ips": ["10.1.0.7/24"]}`, `"args": {"cni": {"ips": ["10.1.0.8"]}}`
	tests := []struct {
		name, more, ip string // more keys; IP of CNI_ARGS
		want           []string
		code           uint
		err            string
	}{
		{"none", ``, "", nil, 0, ""},
		{"CNI_ARGS", ``, "10.1.0.9", []string{"10.1.0.9"}, 0, ""},
		{"CNI_ARGS, both families", ``, "10.1.0.9, fd00::9", []string{"10.1.0.9", "fd00::9"}, 0, ""},
		{"args before CNI_ARGS", `, ` + args, "10.1.0.9", []string{"10.1.0.8"}, 0, ""},
		{"runtime first", `, ` + runtime + `, ` + args, "10.1.0.9", []string{"10.1.0.7"}, 0, ""},
		{"of another set than the runtime's", `, "runtimeConfig": {"ips": ["fd00::7"]}`, "10.1.0.9", []string{"fd00::7", "10.1.0.9"}, 0, ""},
		{"each source of a set", `, "runtimeConfig": {"ips": ["fd00::7"]}, ` + args, "10.2.0.9,10.1.0.9", []string{"fd00::7", "10.1.0.8", "10.2.0.9"}, 0, ""},
		{"of no set", `, ` + runtime, "192.0.2.9", []string{"10.1.0.7", "192.0.2.9"}, 0, ""},
		{"two of one set by one source", ``, "10.1.0.8,10.1.0.9", []string{"10.1.0.8", "10.1.0.9"}, 0, ""},
		{"IPv4 in IPv6", `, "runtimeConfig": {"ips": ["::ffff:10.1.0.7"]}`, "", []string{"10.1.0.7"}, 0, ""},
		{"bad in CNI_ARGS", ``, "first", nil, cni.CodeEnv, `CNI_ARGS IP: "first" is not an IP address`},
		{"bad in args", `, "args": {"cni": {"ips": ["10.1"]}}`, "", nil, cni.CodeConfig, `args.cni.ips: "10.1" is not an IP address`},
		{"bad at runtime", `, "runtimeConfig": {"ips": ["fe80::1%eth0"]}`, "", nil, cni.CodeConfig, `runtimeConfig.ips: "fe80::1%eth0" is not an IP address`},
		{"empty at runtime", `, "runtimeConfig": {"ips": [""]}`, "", nil, cni.CodeConfig, `runtimeConfig.ips: "" is not an IP address`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := request(`{"ipam": {"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}], [{"subnet": "fd00::/64"}]]}` + tt.more + `}`)
			req.Args = cni.Args{"IP": tt.ip}
			c, err := Parse(req)
			wantError(t, err, tt.code, tt.err)
			if err == nil && !slices.Equal(c.Requested, addrs(tt.want...)) {
				t.Errorf("got %v, want %v", c.Requested, tt.want)
			}
		})
	}
}

func addrs(texts ...string) []netip.Addr {
	var list []netip.Addr
	for _, s := range texts {
		list = append(list, netip.MustParseAddr(s))
	}
	return list
}

// TestOnePerFamily: results before 0.3.0 have room for one address of each.
func TestOnePerFamily(t *testing.T) {
	const two, dual = `[{"subnet": "10.1.0.0/24"}], [{"subnet": "10.2.0.0/24"}]`, `[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]`
	for _, version := range []string{"0.1.0", "0.2.0", "0.3.0", "1.1.0"} {
		for sets, ok := range map[string]bool{dual: true, two: !strings.HasPrefix(version, "0.1") && !strings.HasPrefix(version, "0.2")} {
			req := request(`{"ipam": {"ranges": [` + sets + `]}}`)
			req.CNIVersion = version
			want := ""
			if !ok {
				want = "CNI version " + version + " does not support more than 1 address per family"
			}
			_, err := Parse(req)
			wantError(t, err, cni.CodeConfig, want)
		}
	}
}
