package bridge

import (
	"fmt"
	"reflect"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

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

func request(config string) *cni.Request {
	return &cni.Request{
		Command: "ADD", ContainerID: "c1", IfName: "eth0", Netns: "/run/netns/c1", Network: "net", CNIVersion: "1.1.0", Config: []byte(config),
	}
}

// TestParse: what each key changes in the defaults.
func TestParse(t *testing.T) {
	base := parsed(t, `{}`)
	tests := []struct{ config, want string }{
		{`{"bridge": null, "mtu": null, "vlanTrunk": null, "ipam": null, "runtimeConfig": null, "ipMasqBackend": null}`, ""},
		{`{"bridge": "br0"}`, "Bridge:br0"},
		{`{"isGateway": true}`, "IsGateway:true"},
		{`{"isDefaultGateway": true}`, "IsGateway:true IsDefaultGateway:true"},
		{`{"gateways": ["10.1.0.1/24", "fd00::1/64"]}`, "IsGateway:true Gateways:[10.1.0.1/24 fd00::1/64]"},
		{`{"forceAddress": true}`, "ForceAddress:true"},
		{`{"ipMasq": true, "ipMasqBackend": "nftables"}`, "IPMasq:true"},
		{`{"ipMasq": true, "ipMasqBackend": "iptables"}`, "IPMasq:true IPTables:true"},
		{`{"forwardAccept": true}`, "ForwardAccept:true"},
		{`{"masqueradeExclude": ["10.244.1.1/16", "fd00::/8"]}`, "MasqueradeExclude:[10.244.0.0/16 fd00::/8]"},
		{`{"mtu": 0}`, ""},
		{`{"mtu": 68}`, "MTU:68"},
		{`{"mtu": 65535}`, "MTU:65535"},
		{`{"mtu": "auto"}`, "AutoMTU:true"},
		{`{"hairpinMode": true}`, "HairpinMode:true"},
		{`{"promiscMode": true}`, "PromiscMode:true"},
		{`{"portIsolation": true}`, "PortIsolation:true"},
		{`{"vlan": 0}`, ""},
		{`{"vlan": 100}`, "Vlan:100 Vlans:true"},
		{`{"vlan": 4094, "isGateway": true}`, "IsGateway:true Vlan:4094 Vlans:true"},
		{`{"vlanTrunk": []}`, "Vlans:true"},
		{`{"vlanTrunk": [{"id": 1}, {"minID": 10, "maxID": 12, "id": 4094}]}`, "VlanTrunk:[1 10-12 4094] Vlans:true"},
		{`{"preserveDefaultVlan": true}`, "PreserveDefaultVlan:true"},
		{`{"macspoofchk": true}`, "MacSpoofChk:true"},
		{`{"enabledad": true}`, "EnableDad:true"},
		{`{"disableContainerInterface": true}`, "DisableContainerInterface:true"},
		{`{"enableIPv6LinkLocal": true}`, "EnableIPv6LinkLocal:true"},
		{`{"noDefaultRoute": true}`, "NoDefaultRoute:true"},
		{`{"routeMetric": 100}`, "RouteMetric:100"},
		{`{"ipam": {"type": "host-local"}}`, "IPAM:host-local"},
		{`{"dns": {"nameservers": ["10.1.0.1"]}}`, "DNS:{Nameservers:[10.1.0.1] Domain: Search:[] Options:[]}"},
		{`{"IsGateway": true, "IPMASQ": true}`, "IsGateway:true IPMasq:true"}, // containerd spells keys as it likes
	}
	for _, tt := range tests {
		t.Run(tt.config, func(t *testing.T) {
			if got := changed(base, parsed(t, tt.config)); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// parsed is the configuration's fields, "Bridge:cni0" and so on.
func parsed(t *testing.T, config string) []string {
	t.Helper()
	c, err := Read(request(config))
	if err != nil {
		t.Fatal(err)
	}
	var list []string
	v := reflect.ValueOf(*c)
	for _, f := range reflect.VisibleFields(v.Type()) {
		if !f.Anonymous {
			list = append(list, fmt.Sprintf("%s:%+v", f.Name, v.FieldByIndex(f.Index)))
		}
	}
	return list
}

func changed(base, now []string) string {
	var list []string
	for i := range now {
		if now[i] != base[i] {
			list = append(list, now[i])
		}
	}
	return strings.Join(list, " ")
}

func TestParseErrors(t *testing.T) {
	tests := []struct {
		config string
		code   uint
		want   string
	}{
		{`{"bridge": ""}`, cni.CodeConfig, `bridge: "" is not a name for a link`},
		{`{"bridge": "a-name-that-is-too-long"}`, cni.CodeConfig, `bridge: "a-name-that-is-too-long" is longer than 15 characters, the kernel's limit`},
		{`{"bridge": "a/b"}`, cni.CodeConfig, `bridge: "a/b" holds a slash, colon, percent sign or white space, which no link name may`},
		{`{"bridge": "all"}`, cni.CodeConfig, `bridge: "all" is no name for a link, the kernel keeps settings of many links under it: use another name`},
		{`{"bridge": "default"}`, cni.CodeConfig, `bridge: "default" is no name for a link, the kernel keeps settings of many links under it: use another name`},
		{`{"bridge": 5}`, cni.CodeDecode, "bridge: wants a string, but has a number"},
		{`{"mtu": 67}`, cni.CodeConfig, "mtu: 67 is outside 68-65535 bytes; 0 or none takes the bridge's"},
		{`{"mtu": 65536}`, cni.CodeConfig, "mtu: 65536 is outside 68-65535 bytes; 0 or none takes the bridge's"},
		{`{"mtu": -1}`, cni.CodeConfig, "mtu: -1 is outside 68-65535 bytes; 0 or none takes the bridge's"},
		{`{"mtu": "1500"}`, cni.CodeDecode, `mtu: wants a whole number of bytes or "auto", but has "1500"`},
		{`{"mtu": 1.5}`, cni.CodeDecode, `mtu: wants a whole number of bytes or "auto", but has 1.5`},
		{`{"hairpinMode": true, "promiscMode": true}`, cni.CodeConfig, "hairpinMode: cannot be true together with promiscMode, frames would arrive twice: use hairpinMode alone"},
		{`{"noDefaultRoute": true, "isDefaultGateway": true}`, cni.CodeConfig, "noDefaultRoute: cannot be true together with isDefaultGateway: remove one of them"},
		{`{"disableContainerInterface": true, "ipam": {"type": "host-local"}}`, cni.CodeConfig, `disableContainerInterface: cannot use IPAM when it is true, a link that is down has no use for addresses: remove it or "ipam"`},
		{`{"gateways": ["10.1.0.1/24"], "ipam": {"type": "host-local"}}`, cni.CodeConfig, "gateways: is for networks without ipam; with it the IPAM plugin names the gateway: remove one of them"},
		{`{"gateways": ["10.1.0.1/24", "10.1.0.1"]}`, cni.CodeConfig, `gateways[1]: "10.1.0.1" is not an address with the length of its subnet, such as 10.88.0.1/16`},
		{`{"gateways": ["10.1.0.1/32"]}`, cni.CodeConfig, `gateways[0]: "10.1.0.1/32" is not an address with the length of its subnet, such as 10.88.0.1/16`},
		{`{"masqueradeExclude": ["10.244.0.0"]}`, cni.CodeConfig, `masqueradeExclude[0]: "10.244.0.0" is not a CIDR such as 10.244.0.0/16`},
		{`{"routeMetric": -1}`, cni.CodeConfig, "routeMetric: -1 is outside 0-2147483647"},
		{`{"ipMasqBackend": "ebpf"}`, cni.CodeConfig, `ipMasqBackend: "ebpf" is neither "nftables" nor "iptables"`},
		{`{"vlan": 4095}`, cni.CodeConfig, "vlan: invalid VLAN ID 4095 (must be between 0 and 4094)"},
		{`{"vlan": -1}`, cni.CodeConfig, "vlan: invalid VLAN ID -1 (must be between 0 and 4094)"},
		{`{"bridge": "bridge-of-15-ch", "vlan": 10, "isGateway": true}`, cni.CodeConfig, `bridge: "bridge-of-15-ch" with vlan 10 makes the gateway's link "bridge-of-15-ch.10", longer than the kernel's 15 characters: use a shorter name`},
		{`{"vlanTrunk": [{"id": 0}]}`, cni.CodeConfig, "vlanTrunk[0]: id: 0 is outside 1-4094"},
		{`{"vlanTrunk": [{"id": 5}, {"minID": 5}]}`, cni.CodeConfig, "vlanTrunk[1]: minID and maxID should be configured simultaneously"},
		{`{"vlanTrunk": [{"minID": 5, "maxID": 4095}]}`, cni.CodeConfig, "vlanTrunk[0]: maxID: 4095 is outside 1-4094"},
		{`{"vlanTrunk": [{"minID": 6, "maxID": 5}]}`, cni.CodeConfig, "vlanTrunk[0]: minID: 6 is greater than maxID 5"},
		{`{"vlanTrunk": [null]}`, cni.CodeConfig, `vlanTrunk[0]: null is no VLAN: give {"id": 100} or {"minID": 100, "maxID": 200}`},
		{`{"vlanTrunk": {"id": 5}}`, cni.CodeDecode, "vlanTrunk: wants a list, but has an object"},
		{`{"isGateway": "true"}`, cni.CodeDecode, "isGateway: wants true or false, but has a string"},
		{`{"ipam": "host-local"}`, cni.CodeDecode, "ipam: wants an object, but has a string"},
	}
	for _, tt := range tests {
		t.Run(tt.config, func(t *testing.T) {
			_, err := Read(request(tt.config))
			wantError(t, err, tt.code, tt.want)
		})
	}
}

// TestParseMAC: the runtime before "args" before CNI_ARGS.
func TestParseMAC(t *testing.T) {
	const runtime, args = `"runtimeConfig": {"mac": "0a:00:00:00:00:01"}`, `"args": {"cni": {"mac": "0a:00:00:00:00:02"}}`
	tests := []struct {
		config, env, want string
		code              uint
		err               string
	}{
		{`{}`, "", "", 0, ""},
		{`{}`, "0a:00:00:00:00:03", "0a:00:00:00:00:03", 0, ""},
		{`{` + args + `}`, "0a:00:00:00:00:03", "0a:00:00:00:00:02", 0, ""},
		{`{` + args + `, ` + runtime + `}`, "0a:00:00:00:00:03", "0a:00:00:00:00:01", 0, ""},
		{`{"runtimeConfig": {"mac": "0A-00-00-00-00-01"}}`, "", "0a:00:00:00:00:01", 0, ""},
		{`{}`, "x", "", cni.CodeEnv, `CNI_ARGS MAC: "x" is not a MAC address such as 0a:58:0a:58:00:02`},
		{`{"args": {"cni": {"mac": "0a:00:00:00:00:00:00:01"}}}`, "", "", cni.CodeConfig, `args.cni.mac: "0a:00:00:00:00:00:00:01" is not a MAC address such as 0a:58:0a:58:00:02`},
		{`{"runtimeConfig": {"mac": "01:00:5e:00:00:01"}}`, "", "", cni.CodeConfig, "runtimeConfig.mac: 01:00:5e:00:00:01 is a multicast address, a link needs a unicast one (first byte even)"},
		{`{"runtimeConfig": {"mac": "00:00:00:00:00:00"}}`, "", "", cni.CodeConfig, "runtimeConfig.mac: 00:00:00:00:00:00 is no address for a link"},
	}
	for _, tt := range tests {
		t.Run(tt.config+tt.env, func(t *testing.T) {
			req := request(tt.config)
			req.Args = cni.Args{"MAC": tt.env}
			c, err := Read(req)
			wantError(t, err, tt.code, tt.err)
			if err == nil && c.MAC.String() != tt.want {
				t.Errorf("got %s, want %s", c.MAC, tt.want)
			}
		})
	}
}
