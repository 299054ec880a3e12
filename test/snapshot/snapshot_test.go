package snapshot_test

import (
	"errors"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

func TestMain(m *testing.M) { stage.Main(m.Run) }

// room is a host with a bridge that has one port, and a directory with a file.
type room struct {
	*stage.Space
	dir string
}

func newRoom(t *testing.T) room {
	t.Helper()
	r := room{Space: stage.OpenSpace(t, "oracle"), dir: filepath.Join(t.TempDir(), "data")}
	if err := os.MkdirAll(r.dir, 0o755); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(r.dir, "10.0.0.2"), []byte("c1\r\neth0"), 0o600); err != nil {
		t.Fatal(err)
	}
	stage.Inside(r.Space, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}}
		port := &netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "port0"}, PeerName: "port1"}
		return errors.Join(
			netlink.LinkAdd(bridge), netlink.LinkAdd(port),
			netlink.LinkSetMaster(port, bridge), netlink.LinkSetUp(bridge), netlink.LinkSetUp(port),
			netlink.AddrAdd(bridge, stage.ParseAddr("10.9.0.1/24")),
		)
	})
	return r
}

func (r room) take(t *testing.T) snapshot.Snapshot {
	t.Helper()
	s, err := snapshot.Take(r.NS, r.dir)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

func prefix(cidr string) *net.IPNet { return stage.ParseAddr(cidr).IPNet }

func link(name string) netlink.Link { return &netlink.Device{LinkAttrs: netlink.LinkAttrs{Name: name}} }

func index(name string) int {
	l, err := netlink.LinkByName(name)
	if err != nil {
		return 0 // the use of link 0 fails
	}
	return l.Attrs().Index
}

// leaks is one thing of each kind, and what Diff must say of it.
var leaks = []struct {
	name string
	do   func() error
	want string // the beginning of one line
}{
	{"link", func() error {
		return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: "left0"}, PeerName: "left1"})
	}, "+ link left0: kind veth"},
	{"link's MTU", func() error { return netlink.LinkSetMTU(link("port0"), 1400) }, "~ link port0: "},
	{"link's alias", func() error { return netlink.LinkSetAlias(link("port0"), "c1") }, "~ link port0: "},
	{"link taken off the bridge", func() error { return netlink.LinkSetNoMaster(link("port0")) }, "~ link port0: "},
	{"promiscuous mode", func() error { return netlink.SetPromiscOn(link("br0")) }, "~ link br0: "},
	{"bridge option", func() error {
		mask := uint16(8)
		return netlink.LinkModify(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, GroupFwdMask: &mask})
	}, "~ link br0: "},
	{"bridge port's hairpin", func() error { return netlink.LinkSetHairpin(link("port0"), true) }, "~ link port0: "},
	{"bridge port's isolation", func() error { return netlink.LinkSetIsolated(link("port0"), true) }, "~ link port0: "},
	{"forwarding entry", func() error {
		return netlink.NeighAdd(&netlink.Neigh{
			LinkIndex: index("port0"), Family: netlink.FAMILY_ALL + 7, State: netlink.NUD_PERMANENT,
			Flags: netlink.NTF_MASTER, HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 7},
		})
	}, "+ fdb port0 02:00:00:00:00:07"},
	{"IPv4 address", func() error { return netlink.AddrAdd(link("br0"), stage.ParseAddr("10.9.0.7/24")) }, "+ addr br0 10.9.0.7/24"},
	{"IPv6 address", func() error { return netlink.AddrAdd(link("br0"), stage.ParseAddr("2001:db8::7/64")) }, "+ addr br0 2001:db8::7/64"},
	{"route in another table", func() error {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: index("br0"), Dst: prefix("192.0.2.0/24"), Table: 77})
	}, "+ route table 77 192.0.2.0/24 dev br0"},
	{"IPv6 route", func() error {
		return netlink.RouteAdd(&netlink.Route{LinkIndex: index("br0"), Dst: prefix("2001:db8:7::/64")})
	}, "+ route table 254 2001:db8:7::/64 dev br0"},
	{"local route of ::1", func() error {
		return netlink.RouteAppend(&netlink.Route{LinkIndex: index("br0"), Dst: prefix("::1/128"), Table: 255, Type: 2, Protocol: 88})
	}, "+ route table 255 ::1/128 dev br0"},
	{"rule", func() error {
		r := netlink.NewRule()
		r.Priority, r.Table, r.Src = 700, 77, prefix("10.9.0.0/24")
		return netlink.RuleAdd(r)
	}, "+ rule ipv4 700"},
	{"permanent neighbour", func() error {
		return netlink.NeighAdd(&netlink.Neigh{
			LinkIndex: index("br0"), State: netlink.NUD_PERMANENT,
			IP: net.IPv4(10, 9, 0, 8), HardwareAddr: net.HardwareAddr{2, 0, 0, 0, 0, 8},
		})
	}, "+ neigh br0 10.9.0.8: lladdr 02:00:00:00:00:08"},
	{"proxy neighbour", func() error {
		return netlink.NeighAdd(&netlink.Neigh{LinkIndex: index("br0"), Flags: netlink.NTF_PROXY, IP: net.ParseIP("2001:db8::9")})
	}, "+ neigh proxy br0 2001:db8::9"},
	{"queueing discipline", func() error {
		return netlink.QdiscAdd(&netlink.PfifoFast{QdiscAttrs: netlink.QdiscAttrs{
			LinkIndex: index("port0"), Handle: netlink.MakeHandle(1, 0), Parent: netlink.HANDLE_ROOT,
		}})
	}, "link port0: "},
	{"sysctl", func() error {
		return os.WriteFile("/proc/sys/net/ipv4/ip_forward", []byte("1"), 0)
	}, "~ sysctl net/ipv4/ip_forward: 0 → 1"},
	{"link's sysctl", func() error {
		return os.WriteFile("/proc/sys/net/ipv6/conf/br0/accept_ra", []byte("2"), 0)
	}, "~ sysctl net/ipv6/conf/br0/accept_ra: "},
}

func TestDiffSeesKernelLeaks(t *testing.T) {
	for _, leak := range leaks {
		t.Run(leak.name, func(t *testing.T) {
			r := newRoom(t)
			before := r.take(t)
			stage.Inside(r.Space, leak.do)
			wantLine(t, snapshot.Diff(before, r.take(t)), leak.want)
		})
	}
}

// wantLine looks for one line that begins with want, whatever its sign where want
// names none.
func wantLine(t *testing.T, diff []string, want string) {
	t.Helper()
	for _, line := range diff {
		if strings.HasPrefix(line, want) || strings.HasPrefix(line[2:], want) {
			return
		}
	}
	t.Errorf("no line %q in:\n%s", want, strings.Join(diff, "\n"))
}

func TestDiffSeesFiles(t *testing.T) {
	for name, leak := range map[string]struct {
		do   func(dir string) error
		want string
	}{
		"file":    {func(d string) error { return os.WriteFile(d+"/10.0.0.3", []byte("c2\r\neth0"), 0o600) }, `+ file data/10.0.0.3: -rw------- "c2\r\neth0"`},
		"mode":    {func(d string) error { return os.Chmod(d+"/10.0.0.2", 0o644) }, "~ file data/10.0.0.2: "},
		"content": {func(d string) error { return os.WriteFile(d+"/10.0.0.2", []byte("c2\r\neth0"), 0o600) }, "~ file data/10.0.0.2: "},
		"missing": {func(d string) error { return os.Remove(d + "/10.0.0.2") }, "- file data/10.0.0.2: "},
		"folder":  {func(d string) error { return os.Mkdir(d+"/sub", 0o700) }, "+ file data/sub: drwx------"},
		"link":    {func(d string) error { return os.Symlink("/nowhere", d+"/sym") }, "+ file data/sym: Lrwxrwxrwx → /nowhere"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			before := r.take(t)
			if err := leak.do(r.dir); err != nil {
				t.Fatal(err)
			}
			wantLine(t, snapshot.Diff(before, r.take(t)), leak.want)
		})
	}
}

// TestEqual: what moves on its own must not show, or every scenario would fail.
func TestEqual(t *testing.T) {
	r := newRoom(t)
	before := r.take(t)
	stage.Inside(r.Space, func() error { return netlink.LinkSetUp(link("port1")) }) // carrier comes: flags, addresses
	time.Sleep(1500 * time.Millisecond)                                             // as long as duplicate address detection
	stage.Inside(r.Space, func() error { return netlink.LinkSetDown(link("port1")) })
	var left []string
	for _, line := range snapshot.Diff(before, r.take(t)) {
		// port1 was up once, and the other two have link-local addresses from now on.
		if !strings.Contains(line, " port1") && !strings.Contains(line, "fe80::") && !strings.Contains(line, "ff00::/8") {
			left = append(left, line)
		}
	}
	if len(left) > 0 {
		t.Errorf("differences without a change:\n%s", strings.Join(left, "\n"))
	}
}

func TestTakeIsFast(t *testing.T) {
	r := newRoom(t)
	best := time.Hour
	var size int
	for range 5 {
		start := time.Now()
		size = len(r.take(t))
		best = min(best, time.Since(start))
	}
	t.Logf("%d entries in %v", size, best)
	if best > 100*time.Millisecond {
		t.Errorf("a snapshot took %v, want below 100ms", best)
	}
}
