package walk

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	host4, host6       = "203.0.113.2", "2001:db8:f::2"
	outside4, outside6 = "203.0.113.9", "2001:db8:f::9"
	maxBoxes           = 20
)

// world is a host with networks and containers, and what should be true of them.
type world struct {
	t             *testing.T
	rng           *rand.Rand
	bin, dir      string
	host, outside *stage.Space
	slots         [5]*network
	networks      []*network // all that there ever were
	boxes         []*box     // that runtimes know
	attached      []*attachment
	detached      []*attachment // the last ones
	made, born    int           // networks and containers so far
	kinds         map[string]int
}

// box is a container. A lost one has no namespace any more.
type box struct {
	*stage.Space
	id      string
	servers []*stage.Server
	lost    bool
}

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{t: t, rng: rng, bin: stage.Plugins(t, "bridge", "portmap", "host-local"), dir: t.TempDir(), kinds: make(map[string]int)}
	w.host, w.outside = w.space("host"), w.space("outside")
	for _, s := range []*stage.Space{w.host, w.outside} {
		// The kernel adds routes of link-local addresses only after 1-2 s of duplicate
		// address detection: no state would be comparable.
		w.must(s.SetSysctl("net/ipv6/conf/default/accept_dad", "0"))
	}
	w.must(stage.Wire(w.host, "uplink", host4+"/24,"+host6+"/64", w.outside, "eth0", outside4+"/24,"+outside6+"/64"))
	for _, addr := range []string{"0.0.0.0:80", "[::]:80"} {
		s, err := w.outside.Serve("tcp", addr)
		w.must(err)
		t.Cleanup(func() { _ = s.Close() })
	}
	for i := range w.slots {
		w.replace(i)
	}
	return w
}

func (w *world) space(name string) *stage.Space {
	w.t.Helper()
	s, err := stage.NewSpace(name)
	w.must(err)
	w.t.Cleanup(func() { _ = s.Close() })
	return s
}

func (w *world) must(err error) {
	w.t.Helper()
	if err != nil {
		w.t.Fatal(err)
	}
}

func (w *world) data() string { return filepath.Join(w.dir, "leases") }

// replace puts a new network into a slot.
func (w *world) replace(slot int) *network {
	n := w.newNetwork(slot)
	w.slots[slot], w.networks = n, append(w.networks, n)
	return n
}

// newBox starts a container with a server on port 80, in all families and protocols.
func (w *world) newBox() *box {
	w.t.Helper()
	w.born++
	b := &box{id: fmt.Sprintf("box%d", w.born)}
	b.Space = w.space(b.id)
	// With several links on one bridge, each answers ARP for its own addresses only;
	// else the host's neighbour cache would point to a link that may go first.
	w.must(b.SetSysctl("net/ipv4/conf/all/arp_ignore", "1"))
	w.must(b.SetSysctl("net/ipv4/conf/all/arp_announce", "2"))
	for _, network := range []string{"tcp", "udp"} {
		for _, addr := range []string{"0.0.0.0:80", "[::]:80"} {
			s, err := b.Serve(network, addr)
			w.must(err)
			b.servers = append(b.servers, s)
		}
	}
	w.boxes = append(w.boxes, b)
	return b
}

// end takes the container's processes and its namespace away. The runtime may know
// (then nothing is attached any more) or not.
func (w *world) end(b *box) {
	w.t.Helper()
	var errs []error
	for _, s := range b.servers {
		errs = append(errs, s.Close())
	}
	w.must(errors.Join(append(errs, b.Close())...))
	w.awaitEnd(b)
	b.lost = true
	w.boxes = slices.DeleteFunc(w.boxes, func(o *box) bool { return o == b })
}

// awaitEnd waits until nobody can enter the container's namespace any more: the kernel lets
// go of its servers' sockets an RCU grace period after their end, and until then it is as
// alive as any. What then is left of it is for the kernel to take apart, in its time.
func (w *world) awaitEnd(b *box) {
	w.t.Helper()
	alive := func(l netlink.Link) bool {
		a := l.Attrs()
		return strings.Contains(a.Alias, "/"+b.id+"/") && a.NetNsID >= 0
	}
	for end := time.Now().Add(burial); time.Now().Before(end); time.Sleep(time.Millisecond) { // a grace period is 6-18 ms
		if !slices.ContainsFunc(w.links(), alive) {
			return
		}
	}
	w.t.Fatalf("%s does not end", b.id)
}

// links are those of the host.
func (w *world) links() (list []netlink.Link) {
	w.t.Helper()
	w.must(w.host.Do(func() (err error) {
		list, err = dump.Whole(netlink.ErrDumpInterrupted, netlink.LinkList)
		return err
	}))
	return list
}

// of are the attachments that fn is true for.
func (w *world) of(fn func(a *attachment) bool) (list []*attachment) {
	for _, a := range w.attached {
		if fn(a) {
			list = append(list, a)
		}
	}
	return list
}

func (w *world) alive() []*attachment {
	return w.of(func(a *attachment) bool { return !a.box.lost })
}

// forget moves attachments from attached to detached.
func (w *world) forget(gone ...*attachment) {
	w.attached = slices.DeleteFunc(w.attached, func(a *attachment) bool { return slices.Contains(gone, a) })
	w.detached = append(w.detached, gone...)
	if n := len(w.detached) - 30; n > 0 {
		w.detached = w.detached[n:]
	}
}

// bridgeMTU is the bridge's now, 0 if there is none.
func (w *world) bridgeMTU(name string) (mtu int) {
	_ = w.host.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			mtu = link.Attrs().MTU
		}
		return err
	})
	return mtu
}

// snap is the state of host and leases, less what is kept by design.
func (w *world) snap() snapshot.Snapshot {
	w.t.Helper()
	state, err := snapshot.Take(w.host.NS, w.data())
	w.must(err)
	return state.WithoutKept()
}

// settled is snap once nothing changes any more.
func (w *world) settled() snapshot.Snapshot {
	w.t.Helper()
	last := w.snap()
	for range 20 {
		time.Sleep(150 * time.Millisecond)
		now := w.snap()
		if len(snapshot.Diff(last, now)) == 0 {
			return now
		}
		last = now
	}
	w.t.Fatal("the host does not come to rest")
	return nil
}

// expectEqual gives the kernel time: links of dead namespaces go some time later.
func (w *world) expectEqual(before snapshot.Snapshot) {
	w.t.Helper()
	var diff []string
	for end := time.Now().Add(burial); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if diff = snapshot.Diff(before, w.snap()); len(diff) == 0 {
			return
		}
	}
	w.t.Errorf("left behind, or lost:\n%s", strings.Join(diff, "\n"))
}

// leases are the addresses that have a file.
func (w *world) leases(network string) (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.data(), network))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		w.t.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() != "lock" && !strings.HasPrefix(e.Name(), "last_reserved_ip.") {
			names = append(names, e.Name())
		}
	}
	return names
}

// counts tells how often each kind of step was done.
func (w *world) counts() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(w.kinds)) {
		fmt.Fprintf(&b, " %s %d", kind, w.kinds[kind])
	}
	return b.String()
}
