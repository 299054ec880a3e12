package lease

import (
	"net/netip"
	"strings"
	"testing"
)

// ranges makes a set of "start-end" or "start-end via gateway".
func ranges(t *testing.T, text string) RangeSet {
	t.Helper()
	var set RangeSet
	for _, part := range strings.Split(text, ", ") {
		span, gateway, _ := strings.Cut(part, " via ")
		start, end, _ := strings.Cut(span, "-")
		r := Range{Start: netip.MustParseAddr(start), End: netip.MustParseAddr(end)}
		if gateway != "" {
			r.Gateway = netip.MustParseAddr(gateway)
		}
		set = append(set, r)
	}
	return set
}

// TestAfter: round robin, each address once, the one after last first.
func TestAfter(t *testing.T) {
	tests := []struct{ name, set, last, want string }{
		{"from the start", "10.0.0.2-10.0.0.5", "", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{"in the middle", "10.0.0.2-10.0.0.5", "10.0.0.3", "10.0.0.4 10.0.0.5 10.0.0.2 10.0.0.3"},
		{"last is the end", "10.0.0.2-10.0.0.5", "10.0.0.5", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{"last is the start", "10.0.0.2-10.0.0.5", "10.0.0.2", "10.0.0.3 10.0.0.4 10.0.0.5 10.0.0.2"},
		{"last outside", "10.0.0.2-10.0.0.5", "10.0.0.9", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{"last of the other family", "10.0.0.2-10.0.0.5", "fd00::2", "10.0.0.2 10.0.0.3 10.0.0.4 10.0.0.5"},
		{"gateway first", "10.0.0.1-10.0.0.3 via 10.0.0.1", "", "10.0.0.2 10.0.0.3"},
		{"gateway next", "10.0.0.1-10.0.0.4 via 10.0.0.3", "10.0.0.2", "10.0.0.4 10.0.0.1 10.0.0.2"},
		{"gateway is last", "10.0.0.1-10.0.0.3 via 10.0.0.2", "10.0.0.2", "10.0.0.3 10.0.0.1"},
		{"nothing but the gateway", "10.0.0.1-10.0.0.1 via 10.0.0.1", "", ""},
		{"one address", "10.0.0.2-10.0.0.2", "10.0.0.2", "10.0.0.2"},
		{"two ranges", "10.0.0.2-10.0.0.3, 10.1.0.2-10.1.0.3", "", "10.0.0.2 10.0.0.3 10.1.0.2 10.1.0.3"},
		{"two ranges, in the first", "10.0.0.2-10.0.0.3, 10.1.0.2-10.1.0.3", "10.0.0.2", "10.0.0.3 10.1.0.2 10.1.0.3 10.0.0.2"},
		{"two ranges, first done", "10.0.0.2-10.0.0.3, 10.1.0.2-10.1.0.3", "10.0.0.3", "10.1.0.2 10.1.0.3 10.0.0.2 10.0.0.3"},
		{"two ranges, in the second", "10.0.0.2-10.0.0.3, 10.1.0.2-10.1.0.3", "10.1.0.2", "10.1.0.3 10.0.0.2 10.0.0.3 10.1.0.2"},
		{"three ranges", "10.0.0.2-10.0.0.2, 10.1.0.2-10.1.0.3, 10.2.0.2-10.2.0.2", "10.1.0.2", "10.1.0.3 10.2.0.2 10.0.0.2 10.1.0.2"},
		{"another range's gateway", "10.0.0.2-10.0.0.3 via 10.0.0.1, 10.0.0.1-10.0.0.1 via 10.0.0.3", "", "10.0.0.2"},
		{"the last address there is", "255.255.255.254-255.255.255.255", "255.255.255.255", "255.255.255.254 255.255.255.255"},
		{"IPv6", "fd00::fffe-fd00::1:1", "fd00::ffff", "fd00::1:0 fd00::1:1 fd00::fffe fd00::ffff"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var last netip.Addr
			if tt.last != "" {
				last = netip.MustParseAddr(tt.last)
			}
			set := ranges(t, tt.set)
			var got []string
			for a, r := range set.after(last) {
				if !r.contains(a) {
					t.Errorf("%s comes with range %s", a, r)
				}
				got = append(got, a.String())
			}
			if s := strings.Join(got, " "); s != tt.want {
				t.Errorf("got  %s\nwant %s", s, tt.want)
			}
		})
	}
}

// TestAfterStops: a range of 2^64 addresses is not walked to its end.
func TestAfterStops(t *testing.T) {
	for a := range ranges(t, "fd00::1-fd00::ffff:ffff:ffff:ffff").after(netip.Addr{}) {
		if a.String() == "fd00::5" {
			break
		}
	}
}

func TestOverlaps(t *testing.T) {
	tests := []struct {
		a, b string
		want bool
	}{
		{"10.0.0.2-10.0.0.5", "10.0.0.6-10.0.0.9", false},
		{"10.0.0.2-10.0.0.5", "10.0.0.5-10.0.0.9", true},
		{"10.0.0.2-10.0.0.9", "10.0.0.3-10.0.0.4", true},
		{"10.0.0.2-10.0.0.2", "10.0.0.2-10.0.0.2", true},
		{"10.0.0.2-10.0.0.3, 10.0.1.2-10.0.1.3", "10.0.2.2-10.0.2.3, 10.0.1.3-10.0.1.3", true},
		{"10.0.0.2-10.0.0.5", "fd00::2-fd00::5", false},
		{"fd00::2-fd00::5", "fd00::4-fd00::9", true},
	}
	for _, tt := range tests {
		a, b := ranges(t, tt.a), ranges(t, tt.b)
		if got := a.overlaps(b); got != tt.want {
			t.Errorf("%s and %s: got %t, want %t", tt.a, tt.b, got, tt.want)
		}
		if got := b.overlaps(a); got != tt.want {
			t.Errorf("%s and %s: got %t, want %t", tt.b, tt.a, got, tt.want)
		}
	}
}

func TestLastUsable(t *testing.T) {
	for in, want := range map[string]string{
		"10.1.0.0/16": "10.1.255.254", "10.1.0.4/30": "10.1.0.6", "0.0.0.0/0": "255.255.255.254",
		"fd00::/64": "fd00::ffff:ffff:ffff:ffff", "fd00::4/126": "fd00::7", "fd00::/12": "fd0f:ffff:ffff:ffff:ffff:ffff:ffff:ffff",
	} {
		if got := lastUsable(netip.MustParsePrefix(in)).String(); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
