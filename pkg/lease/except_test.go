package lease

import (
	"net/netip"
	"strings"
	"testing"
)

// TestAddExcept: an address in use without a lease is passed over, also where no other is
// free, unless the request asks for it.
func TestAddExcept(t *testing.T) {
	used := []netip.Addr{netip.MustParseAddr("10.1.0.2"), netip.MustParseAddr("10.1.0.3")}
	for name, tt := range map[string]struct{ ranges, more, want, err string }{
		"the next one":       {ranges: `[{"subnet": "10.1.0.0/24"}]`, want: "10.1.0.4"},
		"all are in use":     {ranges: `[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.3"}]`, err: "all 0 are leased, or in use by containers whose leases were lost"},
		"asked for":          {ranges: `[{"subnet": "10.1.0.0/24"}]`, more: `, "args": {"cni": {"ips": ["10.1.0.3"]}}`, want: "10.1.0.3"},
		"the other family's": {ranges: `[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]`, want: "10.1.0.4 fd00::2"},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, tt.ranges)
			res, err := AddExcept(p.request("c1", tt.more), used)
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
