package publish

import (
	"flag"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

var update = flag.Bool("update", false, "write the golden files anew")

// TestPlan: all that ADD makes, as commands, from a configuration with prevResult.
func TestPlan(t *testing.T) {
	for _, name := range []string{"dual-stack", "no-snat", "iptables"} {
		t.Run(name, func(t *testing.T) {
			config, err := os.ReadFile(filepath.Join("testdata", name+".json"))
			if err != nil {
				t.Fatal(err)
			}
			req := request(string(config))
			c, err := parse(req)
			if err != nil {
				t.Fatal(err)
			}
			prev, err := req.Prev()
			if err != nil {
				t.Fatal(err)
			}
			link := link.Towards{Link: "cni0", Bridge: true}
			in := inputs{conf: c, owner: plan.OwnerOf(req), addrs: cni.Addresses(prev, req.IfName), link4: link, link6: link}
			if in.ports, err = c.ports(in.addrs); err != nil {
				t.Fatal(err)
			}
			base := firewall.Rules{}.String() // has a golden file of its own
			golden(t, name+".plan", strings.Replace(in.plan().String(), base, "# table, sets and base chains", 1))
		})
	}
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
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

// TestPlanGuard: the guard comes before the setting that needs it.
func TestPlanGuard(t *testing.T) {
	in := inputs{conf: &Conf{SNAT: true, Mappings: []Mapping{{Mapping: hostport.Mapping{HostPort: 80, Container: netip.AddrPortFrom(netip.Addr{}, 80), Protocol: 6}}}}, addrs: prefixes("10.1.0.2/24")}
	var err error
	if in.ports, err = in.conf.ports(in.addrs); err != nil {
		t.Fatal(err)
	}
	for link, want := range map[string]bool{"": false, "cni0": true, "eth0.5": true} {
		in.link4.Link = link
		text := in.plan().String()
		guard, localnet := strings.Index(text, "chain inet bridgeport guard"), strings.Index(text, "route_localnet=1")
		if (localnet >= 0) != want || want && (guard < 0 || guard > localnet) {
			t.Errorf("link %q: guard at %d, route_localnet at %d of\n%s", link, guard, localnet, text)
		}
	}
	in.link4.Link, in.conf.SNAT = "cni0", false
	if strings.Contains(in.plan().String(), "route_localnet") {
		t.Error("without snat, replies to 127.0.0.1 can't come back, but it is routed")
	}
}
