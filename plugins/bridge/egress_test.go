package bridge

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/containernetworking/cni/pkg/types"
)

func withEgress(list string) string {
	return `{"ipam": {"type": "host-local"}, "isGateway": true, "egress": {"default": "deny", "allow": ` + list + `}}`
}

// TestEgressErrors: a list that is not understood must not become one that lets through.
func TestEgressErrors(t *testing.T) {
	const to = `egress.allow[0]: to: %q is neither an address, nor a CIDR such as 10.0.0.0/8, nor one of "dns", "host", "metadata", "private", nor "@" with the name of a set`
	tests := []struct {
		config string
		code   uint
		want   string
	}{
		{`{"isGateway": true, "ipam": {"type": "host-local"}, "egress": {"default": "deny"}}`, 0, ""},
		{`{"ipam": {"type": "host-local"}, "egress": {"default": "deny"}}`, cni.CodeConfig, "egress: needs isGateway or isDefaultGateway, behind another router the host sees no connections: add it or remove egress"},
		{`{"isGateway": true, "ipam": {"type": "host-local"}, "egress": {"default": "deny"}, "Egress": {"default": "allow"}}`, cni.CodeConfig, "egress: is given twice: give it once"},
		{`{"egress": {"default": "deny", "default": "allow"}}`, cni.CodeConfig, "egress.default: is given twice, or is null: give it once, or leave it out"},
		{withEgress(`[{"to": "host", "To": "10.0.0.0/8"}]`), cni.CodeConfig, "egress.allow[0].to: is given twice, or is null: give it once, or leave it out"},
		{withEgress(`[{"to": "host", "ports": null}]`), cni.CodeConfig, "egress.allow[0].ports: is given twice, or is null: give it once, or leave it out"},
		{withEgress(`[{"to": "host", "ports": []}]`), cni.CodeConfig, "egress.allow[0]: ports: has 0 entries: give 1 to 100, ranges for more, or leave it out for all ports"},
		{`{"ipam": {"type": "host-local"}, "egress": null}`, 0, ""},
		{withEgress(`[{"to": "10.0.0.0/8"}, {"to": "::/0", "ports": [1, "2-3", "65535"]}, {"to": "@web_1", "protocol": "sctp"}, {"to": "metadata"}]`), 0, ""},
		{`{"ipam": {"type": "host-local"}, "egress": {}}`, cni.CodeConfig, `egress.default: "" is neither "allow" nor "deny": say what holds for all that no list names`},
		{`{"ipam": {"type": "host-local"}, "egress": {"default": "Deny"}}`, cni.CodeConfig, `egress.default: "Deny" is neither "allow" nor "deny": say what holds for all that no list names`},
		{`{"ipam": {"type": "host-local"}, "runtimeConfig": {"egress": {}}}`, cni.CodeConfig, `runtimeConfig.egress.default: "" is neither "allow" nor "deny": say what holds for all that no list names`},
		{`{"ipam": {"type": "host-local"}, "egress": {"default": "deny", "alow": []}}`, cni.CodeConfig, `egress: unknown key "alow": use "default", "allow" and "deny", and in these lists "to", "protocol" and "ports"`},
		{withEgress(`[{"to": "10.0.0.1", "port": 80}]`), cni.CodeConfig, `egress: unknown key "port": use "default", "allow" and "deny", and in these lists "to", "protocol" and "ports"`},
		{withEgress(`{"to": "10.0.0.1"}`), cni.CodeDecode, "egress.allow: wants a list, but has an object"},
		{`{"egress": "deny"}`, cni.CodeDecode, "egress: wants an object, but has a string"},
		{withEgress(`[{"to": ""}]`), cni.CodeConfig, strings.Replace(to, "%q", `""`, 1)},
		{withEgress(`[{}]`), cni.CodeConfig, strings.Replace(to, "%q", `""`, 1)},
		{withEgress(`[null]`), cni.CodeConfig, strings.Replace(to, "%q", `""`, 1)},
		{withEgress(`[{"to": "github.com"}]`), cni.CodeConfig, strings.Replace(to, "%q", `"github.com"`, 1)},
		{withEgress(`[{"to": "@"}]`), cni.CodeConfig, strings.Replace(to, "%q", `"@"`, 1)},
		{withEgress(`[{"to": "@web; flush"}]`), cni.CodeConfig, strings.Replace(to, "%q", `"@web; flush"`, 1)},
		{withEgress(`[{"to": "fe80::1%eth0"}]`), cni.CodeConfig, strings.Replace(to, "%q", `"fe80::1%eth0"`, 1)},
		{withEgress(`[{"to": "10.0.0.1/8"}]`), cni.CodeConfig, `egress.allow[0]: to: "10.0.0.1/8" has bits beyond its length: write 10.0.0.0/8, or 10.0.0.1 for this address alone`},
		{withEgress(`[{"to": "::ffff:10.0.0.1"}]`), cni.CodeConfig, `egress.allow[0]: to: "::ffff:10.0.0.1" is an IPv4 address in the form of IPv6, which no packet carries: write 10.0.0.1`},
		{withEgress(`[{"to": "host", "protocol": "gre"}]`), cni.CodeConfig, `egress.allow[0]: protocol: "gre" is none of tcp, udp, sctp, icmp`},
		{withEgress(`[{"to": "host", "protocol": "icmp", "ports": [8]}]`), cni.CodeConfig, "egress.allow[0]: ports: icmp has none: remove them"},
		{withEgress(`[{"to": "dns", "ports": [5353]}]`), cni.CodeConfig, `egress.allow[0]: protocol, ports: "dns" has its own, port 53 of UDP and TCP: remove them, or name the resolver by its address`},
		{withEgress(`[{"to": "host", "ports": [0]}]`), cni.CodeConfig, `egress: ports: 0 is neither a port from 1 to 65535 nor a range such as "8000-8999"`},
		{withEgress(`[{"to": "host", "ports": ["9-8"]}]`), cni.CodeConfig, `egress: ports: "9-8" is neither a port from 1 to 65535 nor a range such as "8000-8999"`},
		{withEgress(`[{"to": "host", "ports": [65536]}]`), cni.CodeConfig, `egress: ports: 65536 is neither a port from 1 to 65535 nor a range such as "8000-8999"`},
		{withEgress(`[` + strings.Repeat(`{"to": "host"},`, 1000) + `{"to": "host"}]`), cni.CodeConfig, "egress.allow: has 1001 entries, more than 1000: give larger subnets"},
		{`{"egress": {"default": "deny"}}`, cni.CodeConfig, `egress, isolation: need "ipam", they know containers by their addresses: add it or remove them`},
		{`{"isolation": "network"}`, cni.CodeConfig, `egress, isolation: need "ipam", they know containers by their addresses: add it or remove them`},
		{`{"isolation": "full"}`, cni.CodeConfig, `isolation: "full" is none of "none", "network", "strict"`},
		{`{"ipam": {"type": "host-local"}, "vlanTrunk": [{"id": 5}], "egress": {"default": "deny"}}`, cni.CodeConfig, "egress, isolation: cannot be used together with vlanTrunk, their rules do not see into tagged frames: remove one of them"},
	}
	for _, tt := range tests {
		t.Run(tt.want, func(t *testing.T) {
			_, err := Read(request(tt.config))
			wantError(t, err, tt.code, tt.want)
		})
	}
}

func read(t *testing.T, config string) *Conf {
	t.Helper()
	c, err := Read(request(config))
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestEgressImplies: what relies on the container's own addresses binds it to them.
func TestEgressImplies(t *testing.T) {
	base := parsed(t, `{"ipam": {"type": "host-local"}}`)
	if got := changed(base, parsed(t, `{"ipam": {"type": "host-local"}, "isolation": "strict"}`)); got != "MacSpoofChk:true IPSpoofChk:true IsolateFromLan:true Isolation:2" {
		t.Errorf("strict: got %s", got)
	}
	if c := read(t, withEgress(`[]`)); !c.IPSpoofChk || !c.MacSpoofChk {
		t.Errorf("egress does not imply ipspoofchk: %+v", c)
	}
}

// TestResolvers: whose resolvers the word dns means.
func TestResolvers(t *testing.T) {
	dir := t.TempDir()
	host, behind := filepath.Join(dir, "resolv.conf"), filepath.Join(dir, "behind")
	defer func(files []string) { hostResolvers = files }(hostResolvers)
	hostResolvers = []string{host, behind}
	tests := []struct {
		name, config, lease, host, behind, want string
	}{
		{"the runtime's", `"dns": {"nameservers": ["10.0.0.2"]}, "runtimeConfig": {"dns": {"servers": ["10.0.0.1", "fd00::1"]}}`, "10.0.0.3", "", "", "10.0.0.1/32 fd00::1/128"},
		{"the network's", `"dns": {"nameservers": ["10.0.0.2"]}`, "10.0.0.3", "", "", "10.0.0.2/32"},
		{"the IPAM plugin's", `"dns": {}`, "10.0.0.3", "nameserver 10.0.0.4", "", "10.0.0.3/32"},
		{"the host's", `"dns": {}`, "", "nameserver 10.0.0.4\nnameserver fe80::1%eth0", "", "10.0.0.4/32 fe80::1/128"},
		{"those behind a stub", `"dns": {}`, "", "nameserver 127.0.0.53", "nameserver 10.0.0.5", "10.0.0.5/32"},
		{"nobody's", `"dns": {}`, "", "nameserver ::1", "", ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			for path, text := range map[string]string{host: tt.host, behind: tt.behind} {
				if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			in := inputs{conf: read(t, `{"isGateway": true, "ipam": {"type": "host-local"}, "egress": {"default": "deny", "allow": [{"to": "dns"}]}, `+tt.config+`}`)}
			err := in.confine(types.DNS{Nameservers: strings.Fields(tt.lease)})
			if tt.want == "" {
				wantError(t, err, cni.CodeConfig, `egress: "dns": there is no resolver that the container could reach, neither in dns.nameservers nor in `+host+", "+behind+": name one by its address")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var want []netip.Prefix
			for _, s := range strings.Fields(tt.want) {
				want = append(want, netip.MustParsePrefix(s))
			}
			chain := ruleset.EgressChains("net", nil, *in.egress)[0].String()
			policy := ruleset.Policy{Deny: true, Then: []ruleset.Entry{
				{To: want, Protocol: 17, Ports: []nft.PortRange{{First: 53, Last: 53}}}, {To: want, Protocol: 6, Ports: []nft.PortRange{{First: 53, Last: 53}}},
			}}
			if same := ruleset.EgressChains("net", nil, policy)[0].String(); chain != same {
				t.Errorf("got %s\nwant %s", chain, same)
			}
		})
	}
}

// TestWords: the README says which addresses a word means.
func TestWords(t *testing.T) {
	text, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{"metadata", "private"} {
		list := wordList(word)
		_, row, _ := strings.Cut(string(text), "| \""+word+"\" | ")
		row, _, _ = strings.Cut(row, "\n")
		for _, p := range list {
			p := netip.MustParsePrefix(p)
			said := p.String()
			if p.IsSingleIP() {
				said = p.Addr().String()
			}
			if !strings.Contains(row, said) {
				t.Errorf("README.md: word %s: %s is missing", word, said)
			}
		}
	}
}
