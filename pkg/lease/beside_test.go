package lease

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// TestAddBeside: an address in use without a lease is passed over, also where no other is
// free, unless the request asks for it.
func TestAddBeside(t *testing.T) {
	used := []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")}
	for name, tt := range map[string]struct{ ranges, more, want, err string }{
		"the next one":       {ranges: `[{"subnet": "10.1.0.0/24"}]`, want: "10.1.0.4"},
		"all are in use":     {ranges: `[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.3"}]`, err: "all 0 are leased, or in use by containers whose leases were lost"},
		"asked for":          {ranges: `[{"subnet": "10.1.0.0/24"}]`, more: `, "args": {"cni": {"ips": ["10.1.0.3"]}}`, want: "10.1.0.3"},
		"the other family's": {ranges: `[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]`, want: "10.1.0.4 fd00::2"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, tt.ranges)
			res, err := AddBeside(p.request("c1", tt.more), nil, used)
			if tt.err != "" {
				if err == nil || !strings.Contains(err.Error(), tt.err) {
					t.Fatalf("got %v, want %q", err, tt.err)
				}
				p.wantLeases("")
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, ip := range res.IPs {
				got = append(got, ip.Address.IP.String())
			}
			if strings.Join(got, " ") != tt.want {
				t.Errorf("got %v, want %s", got, tt.want)
			}
		})
	}
}

// TestLostLeases: somebody removes leases while containers live. ADD leases anew what they use, so
// that nobody else gets it, and their DEL releases it. No verb in between hides the loss.
func TestLostLeases(t *testing.T) {
	const ranges = `[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.5"}], [{"subnet": "fd00::/64", "rangeEnd": "fd00::5"}]`
	one := Living{Owner{"c1", "eth0"}, addrs("10.1.0.2", "fd00::2", "fe80::1", "192.0.2.1")}
	two := Living{Owner{"c2", "eth0"}, addrs("10.1.0.3", "fd00::3")}
	cut := Living{Owner{}, addrs("10.1.0.3", "fd00::3")} // its names are not known as a whole
	for name, tt := range map[string]struct {
		living []Living
		lose   func(p *pool) error
		want   string // of the next ADD
		leases string
	}{
		"all": {
			[]Living{one, two},
			func(p *pool) error { return os.RemoveAll(p.data) },
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
		"the network's": {
			[]Living{one, two},
			func(p *pool) error { return os.RemoveAll(p.dir) },
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
		"one of two families": {
			[]Living{one, two},
			func(p *pool) error { return os.Remove(filepath.Join(p.dir, "fd00::3")) },
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
		"of somebody whose name was cut": {
			[]Living{one, cut},
			func(p *pool) error { return os.RemoveAll(p.data) },
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::4=c3/eth0",
		},
		"of somebody who is gone, too": {
			[]Living{one},
			func(p *pool) error { return os.RemoveAll(p.data) },
			"10.1.0.3 fd00::3", "10.1.0.2=c1/eth0 10.1.0.3=c3/eth0 fd00::2=c1/eth0 fd00::3=c3/eth0",
		},
		"and a DEL came first": {
			[]Living{one, two},
			func(p *pool) error {
				err := os.RemoveAll(p.dir)
				p.wantDel("c9")
				return err
			},
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
		"and two DELs came first": {
			[]Living{one, two},
			func(p *pool) error {
				err := os.RemoveAll(p.dir)
				p.wantDel("c9")
				p.wantDel("c9")
				return err
			},
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
		"one family's, and a DEL came first": {
			[]Living{one, two},
			func(p *pool) error {
				err := os.Remove(filepath.Join(p.dir, "fd00::3"))
				p.wantDel("c9")
				return err
			},
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
		"with the index, and an ADD by nobody's bridge came first": {
			[]Living{one, two},
			func(p *pool) error {
				err := os.RemoveAll(p.data)
				p.wantAdd("c9", "10.1.0.2 fd00::2")
				p.wantDel("c9")
				return err
			},
			"10.1.0.4 fd00::4", "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0 10.1.0.4=c3/eth0 fd00::2=c1/eth0 fd00::3=c2/eth0 fd00::4=c3/eth0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, ranges)
			var living []Living
			add := func(container string) string {
				res, err := AddBeside(p.request(container, ""), func() ([]Living, error) { return living, nil }, nil)
				if err != nil {
					t.Fatal(err)
				}
				for _, ip := range res.IPs {
					if a := cni.Addr(ip.Address.IP); slices.ContainsFunc(living, func(l Living) bool { return slices.Contains(l.Addrs, a) }) {
						t.Errorf("%s got %s, which is in use", container, a)
					}
				}
				return fmt.Sprint(cni.Addr(res.IPs[0].Address.IP), " ", cni.Addr(res.IPs[1].Address.IP))
			}
			add("c1")
			add("c2")
			p.foreign(func() error { return tt.lose(p) })
			living = tt.living
			if got := add("c3"); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
			p.wantLeases(tt.leases)
			p.wantDel("c3")
			add("c4")
			add("c5") // round-robin comes back to the addresses in use before those that rest
			for _, c := range []string{"c1", "c2", "c4", "c5"} {
				p.wantDel(c)
			}
			p.wantLeases("")
		})
	}
}
