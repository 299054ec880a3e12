package iptables

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

// TestChainNames: the reference's, so that each finds what the other made
// (utils.MustFormatChainNameWithPrefix).
func TestChainNames(t *testing.T) {
	if got := (Masquerade{Network: "net", ContainerID: "c1"}).Chain(); got != "CNI-623e1c388032b20529218ecc" {
		t.Errorf("got %s", got)
	}
	if got := (Ports{Network: "net", ContainerID: "c1"}).Chain(); got != "CNI-DN-623e1c388032b20529218" || len(got) > 28 {
		t.Errorf("got %s", got)
	}
}

// TestComment: xt_comment takes 255 bytes, and a cut must not end in a backslash,
// which would swallow the quote.
func TestComment(t *testing.T) {
	for n := range 300 {
		network := strings.Repeat("n", n)
		for _, text := range []string{Masquerade{Network: network, ContainerID: "c1"}.comment(), Ports{Network: network, ContainerID: "c1"}.comment()} {
			inner := strings.TrimSuffix(strings.TrimPrefix(text, `-m comment --comment "`), `"`)
			if len(inner) > maxComment || strings.HasSuffix(inner, `\`) || strings.ContainsAny(strings.ReplaceAll(inner, `\"`, ""), `"\`) {
				t.Errorf("network of %d characters: %d bytes: %s", n, len(inner), text)
			}
		}
	}
}

// TestEntries: a rule takes 15 ports, each protocol has its own.
func TestEntries(t *testing.T) {
	p := Ports{Network: "net", ContainerID: "c1", Conditions4: []string{"-m", "comment", "--comment", `a "b"`}}
	for i := range 17 {
		p.Ports = append(p.Ports, hostport.Mapping{Protocol: 6, HostPort: uint16(8000 + i), Container: netip.MustParseAddrPort("10.1.0.2:80")})
	}
	p.Ports = append(p.Ports, p.Ports[0], hostport.Mapping{Protocol: 17, HostPort: 53, Container: netip.MustParseAddrPort("10.1.0.2:53")})
	p.Ports = append(p.Ports, hostport.Mapping{Protocol: 6, HostPort: 80, Container: netip.MustParseAddrPort("[fd00::2]:80")})
	const head, tail = ` -m comment --comment "dnat name: \"net\" id: \"c1\"" -m multiport --dports `, ` -m comment --comment "a \"b\"" -j CNI-DN-623e1c388032b20529218`
	want := []string{
		"-A CNI-HOSTPORT-DNAT -p tcp" + head + "8000,8001,8002,8003,8004,8005,8006,8007,8008,8009,8010,8011,8012,8013,8014" + tail,
		"-A CNI-HOSTPORT-DNAT -p tcp" + head + "8015,8016" + tail,
		"-A CNI-HOSTPORT-DNAT -p udp" + head + "53" + tail,
	}
	if got := p.entries(false); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if got := p.entries(true); len(got) != 1 || !strings.Contains(got[0], "--dports 80 -j") {
		t.Errorf("IPv6: got %q", got)
	}
}

// TestIDOf: whose rules they are, as iptables -S prints them.
func TestIDOf(t *testing.T) {
	tests := []struct{ line, want string }{
		{`-A POSTROUTING -s 10.1.0.2/32 -m comment --comment "name: \"net\" id: \"c1\"" -j CNI-623e1c388032b20529218ecc`, "c1"},
		{`-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"net\" id: \"c2\"" -m multiport --dports 80 -j CNI-DN-623e1c388032b20529218`, "c2"},
		{`-A POSTROUTING -m comment --comment "name: \"net2\" id: \"c1\"" -j CNI-623e1c388032b20529218ecc`, ""},
		{`-A POSTROUTING -m comment --comment "name: \"net\" id: \"c1\"" -j MASQUERADE`, ""},
		{`-A POSTROUTING -m comment --comment "name: \"net\" id: \"c1`, ""},
		{`-N CNI-HOSTPORT-DNAT`, ""},
		{``, ""},
	}
	for _, tt := range tests {
		if got, ok := idOf(tt.line, "net"); got != tt.want || ok != (tt.want != "") {
			t.Errorf("%s: got %q, %t", tt.line, got, ok)
		}
	}
}

// TestPortIn: which of a chain's lines lead the same port of the same address.
func TestPortIn(t *testing.T) {
	lines := []string{
		"-N CNI-DN-x",
		"-A CNI-DN-x -s 10.1.0.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
		"-A CNI-DN-x -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
		"-A CNI-DN-x -d 127.0.0.1/32 -p udp -m udp --dport 53 -j DNAT --to-destination 10.1.0.2:53",
		"-A CNI-DN-x -p tcp -m tcp --dport 9000:9009 -j DNAT --to-destination 10.1.0.2:80-89/9000",
		"-A CNI-DN-x -d",
	}
	local := netip.MustParseAddr("127.0.0.1")
	tests := []struct {
		in   hostport.Mapping
		want string
	}{
		{hostport.Mapping{Protocol: 6, HostPort: 8080}, "10.1.0.2"},
		{hostport.Mapping{Protocol: 6, HostPort: 8080, HostIP: netip.IPv4Unspecified()}, "10.1.0.2"},
		{hostport.Mapping{Protocol: 6, HostPort: 8080, HostIP: local}, "10.1.0.2"}, // that for all comes first
		{hostport.Mapping{Protocol: 6, HostPort: 8000, Range: 80}, ""},
		{hostport.Mapping{Protocol: 6, HostPort: 8000, Range: 81}, "10.1.0.2"},
		{hostport.Mapping{Protocol: 17, HostPort: 8080}, ""},
		{hostport.Mapping{Protocol: 6, HostPort: 808}, ""},
		{hostport.Mapping{Protocol: 17, HostPort: 53, HostIP: local}, "10.1.0.2"},
		{hostport.Mapping{Protocol: 17, HostPort: 53}, ""},
		{hostport.Mapping{Protocol: 6, HostPort: 9005}, "10.1.0.2"},
		{hostport.Mapping{Protocol: 6, HostPort: 9010}, ""},
	}
	for _, tt := range tests {
		got, found := mapping{tt.in}.in(lines)
		if found != (tt.want != "") || found && got.String() != tt.want {
			t.Errorf("%+v: got %s, %t, want %s", tt.in, got, found, tt.want)
		}
	}
	if got := holder(`-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"net\" id: \"c2\"" -m multiport --dports 80 -j X`); got != `dnat name: "net" id: "c2"` {
		t.Errorf("holder: got %s", got)
	}
}

// TestNames: who the holder is, as far as the comment goes.
func TestNames(t *testing.T) {
	for comment, want := range map[string]string{
		`dnat name: "net" id: "c2"`: "net c2 true",
		`dnat name: "net" id: "c2`:  "  false", // cut
		`name: "net" id: "c2"`:      "  false",
		``:                          "  false",
	} {
		network, id, ok := names(comment)
		if got := fmt.Sprint(network, " ", id, " ", ok); got != want {
			t.Errorf("%s: got %q, want %q", comment, got, want)
		}
	}
}

// TestLeadsTo: the address in each form of --to-destination.
func TestLeadsTo(t *testing.T) {
	for text, want := range map[string]string{
		"10.1.0.2": "10.1.0.2", "10.1.0.2:80": "10.1.0.2", "10.1.0.2:80-89/8080": "10.1.0.2",
		"fd00::2": "fd00::2", "[fd00::2]:80": "fd00::2", "[fd00::2]:80-89/8080": "fd00::2",
		"10.1.0.2-10.1.0.9": "invalid IP", "": "invalid IP",
	} {
		if got := leadsTo(text).String(); got != want {
			t.Errorf("%s: got %s, want %s", text, got, want)
		}
	}
}

// TestOwn: the container's chain: ranges, clients, and the order of addresses.
func TestOwn(t *testing.T) {
	to := netip.MustParseAddrPort("10.1.0.2:80")
	subnet := []netip.Prefix{netip.MustParsePrefix("10.1.0.0/16")}
	allow := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("10.1.2.0/24"), netip.MustParsePrefix("fd00::/8")}
	tests := []struct {
		name string
		in   Ports
		want []string
	}{
		{"range", Ports{Ports: []hostport.Mapping{{Protocol: 6, HostPort: 8000, Range: 10, Container: to}}}, []string{
			"-p tcp -m tcp --dport 8000:8009 -j DNAT --to-destination 10.1.0.2:80-89/8000",
		}},
		{"range, not shifted", Ports{Ports: []hostport.Mapping{{Protocol: 6, HostPort: 80, Range: 10, Container: to}}}, []string{
			"-p tcp -m tcp --dport 80:89 -j DNAT --to-destination 10.1.0.2",
		}},
		{"clients", Ports{Subnets: subnet, Ports: []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: to, Allow: &hostport.Allow{From: allow}}}}, []string{
			"-s 10.1.2.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
			"-s 192.0.2.0/24 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
			"-s 10.1.2.0/24 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
			"-p tcp -m tcp --dport 8080 -j ACCEPT",
		}},
		{"clients, masqAll", Ports{MasqAll: true, Ports: []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: to, Allow: &hostport.Allow{From: allow[:1]}}}}, []string{
			"-s 192.0.2.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
			"-s 192.0.2.0/24 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
			"-p tcp -m tcp --dport 8080 -j ACCEPT",
		}},
		{"nobody", Ports{Ports: []hostport.Mapping{{Protocol: 6, HostPort: 8080, Container: to, Allow: &hostport.Allow{}}}}, []string{
			"-p tcp -m tcp --dport 8080 -j ACCEPT",
		}},
		{"one address first", Ports{Ports: []hostport.Mapping{
			{Protocol: 6, HostPort: 8080, Container: to},
			{Protocol: 6, HostPort: 8080, Container: to, HostIP: netip.MustParseAddr("192.0.2.1")},
		}}, []string{
			"-d 192.0.2.1/32 -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
			"-p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var want []string
			for _, line := range tt.want {
				want = append(want, "-A "+tt.in.Chain()+" "+line)
			}
			if got := tt.in.own(false); !slices.Equal(got, want) {
				t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
			}
		})
	}
}

// TestForwards: where a chain's rules lead.
func TestForwards(t *testing.T) {
	got := forwards([]string{
		"-N CNI-DN-x",
		"-A CNI-DN-x -s 10.1.0.0/24 -p tcp -m tcp --dport 8080 -j CNI-HOSTPORT-SETMARK",
		"-A CNI-DN-x -p tcp -m tcp --dport 8080 -j DNAT --to-destination 10.1.0.2:80",
		"-A CNI-DN-x -d 2001:db8::1/128 -p udp -m udp --dport 9000:9009 -j DNAT --to-destination [fd00::2]:80-89/9000",
		"-A CNI-DN-x -p tcp -m tcp --dport 8080 -j ACCEPT",
		"",
	})
	want := "[{tcp 8080 8080 10.1.0.2} {udp 9000 9009 fd00::2}]"
	if fmt.Sprint(got) != want {
		t.Errorf("got %v, want %s", got, want)
	}
}

// TestServices: what is there stays, what is no service any more goes.
func TestServices(t *testing.T) {
	const head, tail = " CNI-HOSTPORT-DNAT -d ", ` -m comment --comment "an address of a service is not every host address" -j RETURN`
	to := netip.MustParseAddrPort("10.1.0.2:80")
	p := Ports{
		Ports:    []hostport.Mapping{{Protocol: 6, HostPort: 80, Container: to}, {Protocol: 6, HostPort: 81, Container: to, HostIP: netip.MustParseAddr("10.96.0.3")}},
		Services: []netip.Addr{netip.MustParseAddr("10.96.0.1"), netip.MustParseAddr("10.96.0.2"), netip.MustParseAddr("10.96.0.3"), netip.MustParseAddr("fd96::1")},
	}
	top := []string{"-N CNI-HOSTPORT-DNAT", "-A" + head + "10.96.0.2/32" + tail, "-A" + head + "10.96.0.9/32" + tail}
	want := []string{"-I" + head + "10.96.0.1/32" + tail, "-D" + head + "10.96.0.9/32" + tail}
	if got := p.services(false, top); !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
	if got := p.services(true, nil); got != nil {
		t.Errorf("no port of IPv6: got %q", got)
	}
}

// TestChunks: a range takes two of the 15 places.
func TestChunks(t *testing.T) {
	numbers := strings.Fields(strings.Repeat("1 ", 14) + "2:3 4 " + strings.Repeat("5:6 ", 7))
	var got []string
	for _, c := range chunks(numbers) {
		got = append(got, strings.Join(c, ","))
	}
	want := []string{strings.Repeat("1,", 13) + "1", "2:3,4," + strings.Repeat("5:6,", 5) + "5:6", "5:6"}
	if !slices.Equal(got, want) {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestNoChain(t *testing.T) {
	for text, want := range map[string]bool{
		"iptables: No chain/target/match by that name.":                                                     true, // legacy, and nft before 1.8.8
		"iptables v1.8.9 (nf_tables): chain `CNI-X' in table `nat' is incompatible, use 'nft' tool.":        true,
		"iptables v1.8.9 (nf_tables): chain `CNI-Y' in table `nat' is incompatible, use 'nft' tool.":        false,
		"iptables v1.8.9 (legacy): can't initialize iptables table `nat': Permission denied (must be root)": false,
	} {
		if got := noChain(text, "CNI-X"); got != want {
			t.Errorf("%s: got %t", text, got)
		}
	}
}

// TestPath: runtimes start plugins with little in PATH, and what lies in the current
// directory is never executed.
func TestPath(t *testing.T) {
	dir := t.TempDir()
	if err := os.WriteFile(filepath.Join(dir, "tool"), nil, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "text"), nil, 0o644); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	for search, want := range map[string]string{dir: filepath.Join(dir, "tool"), "/nowhere:" + dir: filepath.Join(dir, "tool"), ".": "", "": ""} {
		t.Setenv("PATH", search)
		if got, err := path("tool"); got != want || (err == nil) != (want != "") {
			t.Errorf("PATH %q: got %q, %v, want %q", search, got, err, want)
		}
	}
	t.Setenv("PATH", dir)
	if got, err := path("text"); err == nil {
		t.Errorf("not executable: got %s", got)
	}
	if err := (Family{IPv6: true, Variant: "none"}).Available(); err == nil || !strings.Contains(err.Error(), "iptables is not installed: no ip6tables-none in PATH") {
		t.Errorf("got %v", err)
	}
}
