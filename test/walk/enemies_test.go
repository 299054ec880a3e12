package walk

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// enemies are steps of others on the same host.
var enemies = []kind{
	{"leases removed", 2, (*world).stepLeases},
	{"rules reloaded", 3, (*world).stepRules},
	{"route gone", 3, (*world).stepRoute},
	{"lock held", 3, (*world).stepLock},
	{"no inodes", 3, (*world).stepInodes},
	{"bridge made by hand", 3, (*world).stepBridge},
}

// inodes are as many as the leases' file system has: few, so that they can be used up.
const inodes = 1000

// stepLeases removes the leases of a network, as somebody does who tidies /var up. Living
// containers keep their addresses.
func (w *world) stepLeases() string {
	n := pick(w, w.slots[:])
	if len(n.subnets) == 0 {
		return ""
	}
	w.Must(os.RemoveAll(filepath.Join(w.Data(), n.name)))
	for _, a := range w.of(func(a *attachment) bool { return a.net == n }) {
		a.unleased = true
	}
	return n.name
}

// stepRules saves and loads the rules, as nftables.service does. Counters and handles change.
func (w *world) stepRules() string {
	return fmt.Sprintf("%d bytes", len(stage.Reload(w.Host)))
}

// stepRoute attaches a container while the host has no route to a network. A missing route says
// nothing about who lives there.
func (w *world) stepRoute() string {
	n := pick(w, w.slots[:])
	var gone []netlink.Route
	stage.Inside(w.Host, func() error {
		link, err := netlink.LinkByName(n.bridge)
		if err != nil {
			return nil // nobody is attached
		}
		routes, err := netlink.RouteList(link, netlink.FAMILY_ALL)
		for _, r := range routes {
			if r.Protocol == unix.RTPROT_KERNEL && r.Dst != nil && !r.Dst.IP.IsLinkLocalUnicast() {
				gone = append(gone, r)
				err = errors.Join(err, netlink.RouteDel(&r))
			}
		}
		return err
	})
	if len(gone) == 0 {
		return ""
	}
	text := w.stepAdd()
	stage.Inside(w.Host, func() (err error) {
		for _, r := range gone {
			r.Flags = 0                                                    // linkdown is the kernel's to say
			if e := netlink.RouteReplace(&r); !errors.Is(e, unix.EINVAL) { // the address of an old network may be gone
				err = errors.Join(err, e)
			}
		}
		return err
	})
	return fmt.Sprintf("%d of %s; %s", len(gone), n.bridge, text)
}

// stepLock does something while somebody holds the lock of the leases for a moment.
func (w *world) stepLock() string {
	n := pick(w, w.slots[:])
	f, err := os.OpenFile(filepath.Join(w.Data(), n.name, "lock"), os.O_RDWR, 0)
	if errors.Is(err, os.ErrNotExist) {
		return ""
	}
	w.Must(err)
	w.Must(unix.Flock(int(f.Fd()), unix.LOCK_EX))
	time.AfterFunc(100*time.Millisecond, func() { _ = f.Close() })
	if w.rng.IntN(2) == 0 {
		return n.name + "; " + w.stepAdd()
	}
	return n.name + "; " + w.stepDel()
}

// stepInodes attaches and detaches while no file can be made. ADD may find room in what released
// leases have left; else it fails and leaves nothing. DEL works.
func (w *world) stepInodes() string {
	if len(w.attached) == 0 {
		return ""
	}
	full := filepath.Join(w.Dir, "full")
	w.Must(stage.UseInodes(full))
	w.full = true
	text := w.stepAdd() + "; " + w.stepDel()
	w.full = false
	w.Must(os.RemoveAll(full))
	return text
}

// stepBridge makes a network's bridge before the network's first container. The host keeps the
// bridge and its MAC address.
func (w *world) stepBridge() string {
	n := pick(w, w.slots[:])
	if w.handmade == nil || stage.HasLink(w.Host, n.bridge) {
		return ""
	}
	mac := net.HardwareAddr{2, 0, 0, 0, byte(w.rng.IntN(256)), byte(w.rng.IntN(256))}
	stage.Inside(w.Host, func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: n.bridge, HardwareAddr: mac}})
	})
	w.handmade[n.bridge] = mac
	return fmt.Sprintf("%s %s", n.bridge, mac)
}

// expectHandmade wants the host's own bridges as the host made them.
func (w *world) expectHandmade() {
	w.t.Helper()
	for name, mac := range w.handmade {
		if have := stage.MAC(w.Host, name); have.String() != mac.String() {
			w.t.Fatalf("the host made bridge %s with %s, now it has %s", name, mac, have)
		}
	}
}

// removeGateways takes a network's addresses off a bridge of the host's own, as its administrator has to.
func (w *world) removeGateways(n *network) {
	w.t.Helper()
	if w.handmade[n.bridge] == nil {
		return
	}
	for _, a := range stage.AddrList(w.Host, n.bridge) {
		addr, _ := netip.AddrFromSlice(a.IP)
		if slices.ContainsFunc(n.subnets, func(s netip.Prefix) bool { return s.Contains(addr.Unmap()) }) {
			stage.Change(w.Host, n.bridge, func(l netlink.Link) error { return netlink.AddrDel(l, &a) })
		}
	}
}

// allowHandmade is for half of the worlds. Such a host forwards: nothing tells that a bridge of the
// host's own does not need that any more.
func (w *world) allowHandmade() {
	w.t.Helper()
	if w.rng.IntN(2) == 0 {
		return
	}
	w.handmade = make(map[string]net.HardwareAddr)
	for _, key := range []string{"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding"} {
		w.Must(w.Host.SetSysctl(key, "1"))
	}
}

// removeHandmade is for the end. A bridge keeps its gateways, and the rules for them: the host may
// have had these addresses before.
func (w *world) removeHandmade() {
	w.t.Helper()
	for name := range w.handmade {
		stage.Change(w.Host, name, netlink.LinkDel)
	}
	for _, n := range w.networks {
		w.Must(w.gc(n))
	}
}
