package publish

import (
	"fmt"
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
		Command: "ADD", ContainerID: "c1", IfName: "eth0", Network: "net", CNIVersion: "1.1.0", Config: []byte(config),
	}
}

// mappings is a configuration with these elements of portMappings.
func mappings(list string) string {
	return `{"runtimeConfig": {"portMappings": [` + list + `]}}`
}

func TestParse(t *testing.T) {
	tests := []struct{ name, config, want string }{
		{"empty", `{}`, "snat true masqAll false"},
		{"no mappings", mappings(``), "snat true masqAll false"},
		{"null", `{"runtimeConfig": {"portMappings": null}, "snat": null}`, "snat true masqAll false"},
		{"snat off", `{"snat": false}`, "snat false masqAll false"},
		{"masqAll", `{"masqAll": true}`, "snat true masqAll true"},
		{"backend", `{"backend": "nftables", "conditionsV4": [], "conditionsV6": null}`, "snat true masqAll false"},
		{"protocol is tcp", mappings(`{"hostPort": 80, "containerPort": 8080}`), "snat true masqAll false, 6 80 to 8080"},
		{"protocol in any case", mappings(`{"hostPort": 53, "containerPort": 53, "protocol": "UDP"}, {"hostPort": 9, "containerPort": 9, "protocol": "Sctp"}`), "snat true masqAll false, 17 53 to 53, 132 9 to 9"},
		{"limits", mappings(`{"hostPort": 1, "containerPort": 65535}`), "snat true masqAll false, 6 1 to 65535"},
		{"hostIP", mappings(`{"hostPort": 1, "containerPort": 2, "hostIP": "192.0.2.1"}, {"hostPort": 1, "containerPort": 2, "hostIP": "::"}`), "snat true masqAll false, 6 192.0.2.1 1 to 2, 6 :: 1 to 2"},
		{"hostIP, IPv4 in IPv6", mappings(`{"hostPort": 1, "containerPort": 2, "hostIP": "::ffff:192.0.2.1"}`), "snat true masqAll false, 6 192.0.2.1 1 to 2"},
		{"the same twice", mappings(`{"hostPort": 80, "containerPort": 80}, {"hostPort": 80, "containerPort": 80, "protocol": "tcp"}`), "snat true masqAll false, 6 80 to 80"},
		{"one of the host's addresses leads elsewhere", mappings(`{"hostPort": 80, "containerPort": 80}, {"hostPort": 80, "containerPort": 81, "hostIP": "127.0.0.1"}`), "snat true masqAll false, 6 80 to 80, 6 127.0.0.1 80 to 81"},
		{"range", mappings(`{"hostPort": 10000, "containerPort": 20000, "range": 500}, {"hostPort": 9, "containerPort": 9, "range": 1}`), "snat true masqAll false, 6 10000 to 20000 and 499 more, 6 9 to 9"},
		{"range, to the last port", mappings(`{"hostPort": 65000, "containerPort": 1, "range": 536}`), "snat true masqAll false, 6 65000 to 1 and 535 more"},
		{"a port of a range again", mappings(`{"hostPort": 100, "containerPort": 200, "range": 10}, {"hostPort": 105, "containerPort": 205}`), "snat true masqAll false, 6 100 to 200 and 9 more"},
		{"allowFrom", mappings(`{"hostPort": 80, "containerPort": 80, "allowFrom": ["192.0.2.7/24", "fd00::1", "::ffff:10.0.0.1"]}`), "snat true masqAll false, 6 80 to 80 from [192.0.2.0/24 fd00::1/128 10.0.0.1/32]"},
		{"allowFrom of the network", `{"allowFrom": ["192.0.2.0/24"], "runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80}]}}`, "snat true masqAll false, 6 80 to 80 from [192.0.2.0/24]"},
		{"allowFrom of both", `{"allowFrom": ["192.0.2.0/24", "fd00::/64"], "runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "allowFrom": ["192.0.0.0/16", "fd00::7"]}]}}`, "snat true masqAll false, 6 80 to 80 from [192.0.2.0/24 fd00::7/128]"},
		{"allowFrom nobody", mappings(`{"hostPort": 80, "containerPort": 80, "allowFrom": []}`), "snat true masqAll false, 6 80 to 80 from []"},
		{"keys in any case, as containerd sends them", mappings(`{"HostPort": 1, "ContainerPort": 2, "Protocol": "tcp", "HostIP": ""}`), "snat true masqAll false, 6 1 to 2"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			c, err := parse(request(tt.config))
			if err != nil {
				t.Fatal(err)
			}
			if got := fmt.Sprintf("snat %t masqAll %t%s", c.SNAT, c.MasqAll, mappingsText(c.Mappings)); got != tt.want {
				t.Errorf("got  %s\nwant %s", got, tt.want)
			}
		})
	}
}

func mappingsText(list []Mapping) string {
	text := ""
	for _, m := range list {
		ip := ""
		if m.HostIP.IsValid() {
			ip = m.HostIP.String() + " "
		}
		text += fmt.Sprintf(", %d %s%d to %d", m.Protocol, ip, m.HostPort, m.Container.Port())
		if m.Range > 1 {
			text += fmt.Sprintf(" and %d more", m.Range-1)
		}
		if m.Allow != nil {
			text += fmt.Sprintf(" from %v", m.Allow.From)
		}
	}
	return text
}

func TestParseErrors(t *testing.T) {
	const key = "runtimeConfig.portMappings[0]"
	tests := []struct {
		name, config string
		code         uint
		want         string
	}{
		{"hostPort 0", mappings(`{"containerPort": 80}`), cni.CodeConfig, key + ".hostPort: 0 is outside 1-65535"},
		{"hostPort", mappings(`{"hostPort": 65536, "containerPort": 80}`), cni.CodeConfig, key + ".hostPort: 65536 is outside 1-65535"},
		{"containerPort", mappings(`{"hostPort": 80, "containerPort": -1}`), cni.CodeConfig, key + ".containerPort: -1 is outside 1-65535"},
		{"protocol", mappings(`{"hostPort": 80, "containerPort": 80, "protocol": "icmp"}`), cni.CodeConfig, key + `.protocol: "icmp" is none of tcp, udp, sctp`},
		{"hostIP", mappings(`{"hostPort": 80, "containerPort": 80, "hostIP": "eth0"}`), cni.CodeConfig, key + `.hostIP: "eth0" is not an IP address; leave it out for every address of the host`},
		{"hostIP with zone", mappings(`{"hostPort": 80, "containerPort": 80, "hostIP": "fe80::1%eth0"}`), cni.CodeConfig, key + `.hostIP: "fe80::1%eth0" is not an IP address; leave it out for every address of the host`},
		{"hostIP with rules in it", mappings(`{"hostPort": 80, "containerPort": 80, "hostIP": "1.2.3.4; flush ruleset"}`), cni.CodeConfig, key + `.hostIP: "1.2.3.4; flush ruleset" is not an IP address; leave it out for every address of the host`},
		{"the second", mappings(`{"hostPort": 1, "containerPort": 1}, {"hostPort": 1}`), cni.CodeConfig, "runtimeConfig.portMappings[1].containerPort: 0 is outside 1-65535"},
		{"a port for two", mappings(`{"hostPort": 80, "containerPort": 80}, {"hostPort": 80, "containerPort": 81, "protocol": "TCP"}`), cni.CodeConfig, "runtimeConfig.portMappings[1].hostPort: 80/tcp leads to port 80 already, by runtimeConfig.portMappings[0]"},
		{"a port for two, by 0.0.0.0", mappings(`{"hostPort": 80, "containerPort": 80}, {"hostPort": 80, "containerPort": 81, "hostIP": "0.0.0.0"}`), cni.CodeConfig, "runtimeConfig.portMappings[1].hostPort: 80/tcp leads to port 80 already, by runtimeConfig.portMappings[0]"},
		{"range 0", mappings(`{"hostPort": 80, "containerPort": 80, "range": 0}`), cni.CodeConfig, key + ".range: 0 is outside 1-65535: it is how many ports are published, from hostPort on"},
		{"range below", mappings(`{"hostPort": 80, "containerPort": 80, "range": -1}`), cni.CodeConfig, key + ".range: -1 is outside 1-65535: it is how many ports are published, from hostPort on"},
		{"range above", mappings(`{"hostPort": 80, "containerPort": 80, "range": 65536}`), cni.CodeConfig, key + ".range: 65536 is outside 1-65535: it is how many ports are published, from hostPort on"},
		{"range beyond the last host port", mappings(`{"hostPort": 65000, "containerPort": 80, "range": 537}`), cni.CodeConfig, key + ".range: 537 ports from hostPort 65000 on end at 65536, beyond 65535: at most 536 fit"},
		{"range beyond the last container port", mappings(`{"hostPort": 80, "containerPort": 65535, "range": 2}`), cni.CodeConfig, key + ".range: 2 ports from containerPort 65535 on end at 65536, beyond 65535: at most 1 fit"},
		{"ranges too many", mappings(`{"hostPort": 1, "containerPort": 1, "range": 20000}, {"hostPort": 30000, "containerPort": 1}`), cni.CodeConfig, "runtimeConfig.portMappings: more than 20000 ports, which one attachment may have: publish fewer"},
		{"ranges overlap, shifted", mappings(`{"hostPort": 100, "containerPort": 100, "range": 10}, {"hostPort": 105, "containerPort": 106}`), cni.CodeConfig, "runtimeConfig.portMappings[1].hostPort: 105/tcp leads to port 105 already, by runtimeConfig.portMappings[0]"},
		{"allowFrom", mappings(`{"hostPort": 80, "containerPort": 80, "allowFrom": ["192.0.2.0/24", "10.0.0.0/33"]}`), cni.CodeConfig, key + `.allowFrom[1]: "10.0.0.0/33" is neither a network, like 192.0.2.0/24, nor an address`},
		{"allowFrom of the network", `{"allowFrom": ["eth0"]}`, cni.CodeConfig, `allowFrom[0]: "eth0" is neither a network, like 192.0.2.0/24, nor an address`},
		{"allowFrom, nobody in both", `{"allowFrom": ["192.0.2.0/24"], "runtimeConfig": {"portMappings": [{"hostPort": 80, "containerPort": 80, "allowFrom": ["198.51.100.0/24"]}]}}`, cni.CodeConfig, key + ".allowFrom: no client is in this list and in the network's allowFrom, too"},
		{"allowFrom, two", mappings(`{"hostPort": 80, "containerPort": 80}, {"hostPort": 80, "containerPort": 80, "allowFrom": ["192.0.2.0/24"]}`), cni.CodeConfig, "runtimeConfig.portMappings[1].allowFrom: 80/tcp is for other clients already, by runtimeConfig.portMappings[0]"},
		{"too many", mappings(strings.Repeat(`{"hostPort": 1, "containerPort": 1},`, maxPorts) + `{"hostPort": 2, "containerPort": 2}`), cni.CodeConfig, "runtimeConfig.portMappings: more than 20000 ports, which one attachment may have: publish fewer"},
		{"port as text", mappings(`{"hostPort": "80"}`), cni.CodeDecode, "runtimeConfig.portMappings[0].hostPort: wants a whole number, but has a string"},
		{"mappings as object", `{"runtimeConfig": {"portMappings": {}}}`, cni.CodeDecode, "runtimeConfig.portMappings: wants a list, but has an object"},
		{"snat as text", `{"snat": "no"}`, cni.CodeDecode, "snat: wants true or false, but has a string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			_, err := parse(request(tt.config))
			wantError(t, err, tt.code, tt.want)
		})
	}
}
