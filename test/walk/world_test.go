package walk

import (
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const maxBoxes = 20

// world is a host with networks and containers, and what should be true of them.
type world struct {
	*stage.Stage
	t        *testing.T
	rng      *rand.Rand
	slots    [5]*network
	networks []*network // all that there ever were
	boxes    []*box     // that runtimes know
	attached []*attachment
	detached []*attachment               // the last ones
	made     int                         // networks so far
	handmade map[string]net.HardwareAddr // bridges that the host made
	full     bool                        // no file can be made
	kinds    map[string]int
}

// box is a container. A lost one has no namespace any more.
type box struct {
	*stage.Box
	servers []*stage.Server
	lost    bool
}

func newWorld(t *testing.T, rng *rand.Rand) *world {
	t.Helper()
	w := &world{Stage: stage.NewStage(t), t: t, rng: rng, kinds: make(map[string]int)}
	w.Must(unix.Mount("walk", w.Dir, "tmpfs", 0, fmt.Sprint("nr_inodes=", inodes)))
	t.Cleanup(func() { w.Must(unix.Unmount(w.Dir, unix.MNT_DETACH)) })
	w.Burial = burial
	w.allowHandmade()
	stage.Serve(w.Outside, "tcp", 80)
	for i := range w.slots {
		w.replace(i)
	}
	return w
}

// replace puts a new network into a slot.
func (w *world) replace(slot int) *network {
	if old := w.slots[slot]; old != nil {
		w.removeGateways(old)
	}
	n := w.newNetwork(slot)
	w.slots[slot], w.networks = n, append(w.networks, n)
	return n
}

// newBox starts a container with a server on port 80, in all families and protocols.
func (w *world) newBox() *box {
	w.t.Helper()
	b := &box{Box: w.Container()}
	// With several links on one bridge, each answers ARP for its own addresses only;
	// else the host's neighbour cache would point to a link that may go first.
	w.Must(b.SetSysctl("net/ipv4/conf/all/arp_ignore", "1"))
	w.Must(b.SetSysctl("net/ipv4/conf/all/arp_announce", "2"))
	for _, network := range []string{"tcp", "udp"} {
		b.servers = append(b.servers, stage.Serve(b.Space, network, 80)...)
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
	w.Must(errors.Join(append(errs, b.Close())...))
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
		return strings.Contains(a.Alias, "/"+b.ID+"/") && a.NetNsID >= 0
	}
	for end := time.Now().Add(burial); time.Now().Before(end); time.Sleep(time.Millisecond) { // a grace period is 6-18 ms
		if !slices.ContainsFunc(stage.Links(w.Host), alive) {
			return
		}
	}
	w.t.Fatalf("%s does not end", b.ID)
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
	_ = w.Host.Do(func() error {
		link, err := netlink.LinkByName(name)
		if err == nil {
			mtu = link.Attrs().MTU
		}
		return err
	})
	return mtu
}

// leases are the addresses that have a file.
func (w *world) leases(network string) (names []string) {
	w.t.Helper()
	entries, err := os.ReadDir(filepath.Join(w.Data(), network))
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

// isLeased says whether an address has a file.
func (w *world) isLeased(network string, addr netip.Addr) bool {
	_, err := os.Lstat(filepath.Join(w.Data(), network, addr.String()))
	return err == nil
}

// counts tells how often each kind of step was done.
func (w *world) counts() string {
	var b strings.Builder
	for _, kind := range slices.Sorted(maps.Keys(w.kinds)) {
		fmt.Fprintf(&b, " %s %d", kind, w.kinds[kind])
	}
	return b.String()
}
