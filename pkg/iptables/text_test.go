package iptables

import (
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
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
		p.Ports = append(p.Ports, Port{Protocol: "tcp", HostPort: uint16(8000 + i), Container: netip.MustParseAddrPort("10.1.0.2:80")})
	}
	p.Ports = append(p.Ports, p.Ports[0], Port{Protocol: "udp", HostPort: 53, Container: netip.MustParseAddrPort("10.1.0.2:53")})
	p.Ports = append(p.Ports, Port{Protocol: "tcp", HostPort: 80, Container: netip.MustParseAddrPort("[fd00::2]:80")})
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
		"-A CNI-DN-x -d",
	}
	local := netip.MustParseAddr("127.0.0.1")
	tests := []struct {
		in   Port
		want bool
	}{
		{Port{Protocol: "tcp", HostPort: 8080}, true},
		{Port{Protocol: "tcp", HostPort: 8080, HostIP: netip.IPv4Unspecified()}, true},
		{Port{Protocol: "tcp", HostPort: 8080, HostIP: local}, false},
		{Port{Protocol: "udp", HostPort: 8080}, false},
		{Port{Protocol: "tcp", HostPort: 808}, false},
		{Port{Protocol: "udp", HostPort: 53, HostIP: local}, true},
		{Port{Protocol: "udp", HostPort: 53}, false},
	}
	for _, tt := range tests {
		if got := tt.in.in(lines); got != tt.want {
			t.Errorf("%+v: got %t, want %t", tt.in, got, tt.want)
		}
	}
	if got := holder(`-A CNI-HOSTPORT-DNAT -p tcp -m comment --comment "dnat name: \"net\" id: \"c2\"" -m multiport --dports 80 -j X`); got != `dnat name: "net" id: "c2"` {
		t.Errorf("holder: got %s", got)
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
