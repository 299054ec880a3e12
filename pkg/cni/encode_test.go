package cni

import (
	"flag"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
	"github.com/containernetworking/cni/pkg/version"
)

var update = flag.Bool("update", false, "write the golden files anew")

func cidr(s string) net.IPNet {
	ip, n, err := net.ParseCIDR(s)
	if err != nil {
		panic(err)
	}
	return net.IPNet{IP: ip, Mask: n.Mask}
}

// TestEncode: the answer in each form that the specification has had. Versions of
// the same form share a file.
func TestEncode(t *testing.T) {
	form := map[string]string{
		"0.1.0": "ip4-ip6", "0.2.0": "ip4-ip6",
		"0.3.0": "versioned", "0.3.1": "versioned", "0.4.0": "versioned",
		"1.0.0": "1.0", "1.1.0": "1.1",
	}
	for _, v := range version.All.SupportedVersions() {
		t.Run(v, func(t *testing.T) {
			text, err := Encode(dual(), v)
			if err != nil {
				t.Fatal(err)
			}
			if form[v] == "" {
				t.Fatalf("the library knows version %s, this test does not", v)
			}
			if res, err := create.CreateFromBytes(text); err != nil || res.Version() != v {
				t.Errorf("does not read back as version %s: %v", v, err)
			}
			golden(t, filepath.Join("testdata", "result-"+form[v]+".json"), strings.Replace(string(text), v, "VERSION", 1))
		})
	}
	_, err := Encode(dual(), "9.0.0")
	wantError(t, err, CodeVersion, "result: convert to cniVersion 9.0.0: no converter for CNI result version 1.1.0 to 9.0.0")
}

func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// dual is a result with everything that an old version may not have room for.
func dual() *current.Result {
	return &current.Result{
		CNIVersion: "1.1.0",
		Interfaces: []*current.Interface{{Name: "cni0"}, {Name: "eth0", Mac: "0a:58:0a:58:00:02", Mtu: 1450, Sandbox: "/run/netns/c1"}},
		IPs: []*current.IPConfig{
			{Interface: current.Int(1), Address: cidr("10.88.0.2/16"), Gateway: cidr("10.88.0.1/16").IP},
			{Interface: current.Int(1), Address: cidr("fd00::2/64"), Gateway: cidr("fd00::1/64").IP},
		},
		Routes: []*types.Route{{Dst: cidr("0.0.0.0/0"), GW: cidr("10.88.0.1/16").IP, MTU: 1400}},
		DNS:    types.DNS{Nameservers: []string{"10.88.0.1"}},
	}
}
