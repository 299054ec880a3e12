package main

import (
	"fmt"
	"net"
	"net/netip"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
	vnetns "github.com/vishvananda/netns"
	"golang.org/x/sys/unix"
)

// existingPorts: each attachment that is there before the measured one has one port.
const existingPorts = 1

// grow makes attachments until n are there: ours and the floor's for real, of the
// reference two for real and the others by template.
func (h *host) grow(n, ports int) error {
	for h.existing < n {
		if h.reference && h.existing >= 2 {
			return h.synthesise(n, ports)
		}
		if _, err := h.addExisting(ports); err != nil {
			return err
		}
	}
	return nil
}

// addExisting makes one for real. Of the containers only the last one's namespace stays
// open here (all stay mounted): a fork copies the driver's files and an exec closes each,
// which with 6,000 of them would add 0.7 ms to every process that is measured.
func (h *host) addExisting(ports int) (tenant, error) {
	h.existing++
	c, err := h.rig.newContainer()
	if err != nil {
		return tenant{}, err
	}
	if h.last != nil {
		if err := h.last.NS.Close(); err != nil {
			return tenant{}, err
		}
	}
	h.last = c
	a := attachment{number: h.existing, netns: c.Path, ports: ports}
	if _, err := h.call("ADD", a); err != nil {
		return tenant{}, err
	}
	if h.name == floorName {
		return tenant{a, a.address()}, nil
	}
	addr, err := h.leaseOf(a)
	return tenant{a, addr}, err
}

// leaseOf looks into the lease files, which both implementations write alike.
func (h *host) leaseOf(a attachment) (netip.Addr, error) {
	dir := filepath.Join(h.leases(), networkName)
	files, err := os.ReadDir(dir)
	if err != nil {
		return netip.Addr{}, err
	}
	for _, f := range files {
		text, _ := os.ReadFile(filepath.Join(dir, f.Name()))
		if addr, err := netip.ParseAddr(f.Name()); err == nil && addr.Is4() && string(text) == a.lease() {
			return addr, nil
		}
	}
	return netip.Addr{}, fmt.Errorf("%s: attachment %d has no lease in %s", h.name, a.number, dir)
}

// lease is what host-local writes.
func (a attachment) lease() string { return a.id() + "\r\neth0" }

// synthesise makes attachments 3 to n of the reference without it, and verifies them
// against two that it made.
func (h *host) synthesise(n, ports int) error {
	if h.template == nil {
		if err := h.learn(ports); err != nil {
			return err
		}
	}
	var tenants []tenant
	for h.existing < n {
		h.existing++
		c, err := h.rig.newContainer()
		if err != nil {
			return err
		}
		// Out of the way of the addresses that host-local gives next.
		number := h.existing
		t := tenant{attachment{number: number, netns: c.Path, ports: ports}, netip.AddrFrom4([4]byte{10, 88, 128 + byte(number>>8), byte(number)})}
		if err := h.wire(t, c); err != nil {
			return fmt.Errorf("%s: link %d: %w", h.name, number, err)
		}
		if err := c.NS.Close(); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(h.leases(), networkName, t.addr.String()), []byte(t.lease()), 0o600); err != nil {
			return err
		}
		tenants = append(tenants, t)
	}
	if err := h.load(h.template, tenants); err != nil {
		return err
	}
	return h.verify(tenants[len(tenants)-1])
}

// learn makes the template from real attachment 1 and verifies it against real
// attachment 2.
func (h *host) learn(ports int) error {
	var real [2]tenant
	for i := range real {
		a := attachment{number: i + 1, ports: ports}
		addr, err := h.leaseOf(a)
		if err != nil {
			return err
		}
		real[i] = tenant{a, addr}
	}
	dump, err := h.dump()
	if err != nil {
		return err
	}
	h.template = templateOf(dump, real[0])
	return h.verify(real[1])
}

// verify compares what the kernel has for the tenant with the template, and all ports
// of the bridge with each other.
func (h *host) verify(t tenant) error {
	dump, err := h.dump()
	if err != nil {
		return err
	}
	if err := h.template.same(templateOf(dump, t)); err != nil {
		return fmt.Errorf("%s: attachment %d: %w", h.name, t.number, err)
	}
	var shape string
	return h.space.Do(func() error {
		links, err := netlink.LinkList()
		if err != nil {
			return err
		}
		for _, l := range links {
			if l.Attrs().MasterIndex == 0 {
				continue
			}
			p, err := netlink.LinkGetProtinfo(l)
			if err != nil {
				return err
			}
			a := l.Attrs()
			is := fmt.Sprintf("mtu %d, flags %v, queue %d, bridge port %+v", a.MTU, a.Flags&^net.FlagRunning, a.TxQLen, p) // carrier comes later
			if shape != "" && is != shape {
				return fmt.Errorf("%s: %s has %s, others have %s", h.name, a.Name, is, shape)
			}
			shape = is
		}
		return nil
	})
}

// wire makes the link as the reference does: a port of the bridge with hairpin mode,
// in the container address and default route.
func (h *host) wire(t tenant, c *stage.Space) error {
	name := fmt.Sprintf("veth%08x", t.number)
	err := h.space.Do(func() error {
		bridge, err := netlink.LinkByName(bridgeName)
		if err != nil {
			return err
		}
		veth := &netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: name, MTU: 1500, Flags: net.FlagUp, MasterIndex: bridge.Attrs().Index},
			PeerName:  "eth0", PeerNamespace: netlink.NsFd(c.Fd()),
		}
		if err := netlink.LinkAdd(veth); err != nil {
			return err
		}
		return netlink.LinkSetHairpin(veth, true)
	})
	if err != nil {
		return err
	}
	return configure(c, t.addr)
}

// configure sets up eth0 in a container.
func configure(c *stage.Space, addr netip.Addr) error {
	handle, err := netlink.NewHandleAt(vnetns.NsHandle(c.Fd()), unix.NETLINK_ROUTE)
	if err != nil {
		return err
	}
	defer handle.Close()
	eth0, err := handle.LinkByName("eth0")
	if err != nil {
		return err
	}
	if err := handle.LinkSetUp(eth0); err != nil {
		return err
	}
	ip := &netlink.Addr{IPNet: &net.IPNet{IP: addr.AsSlice(), Mask: net.CIDRMask(16, 32)}}
	if err := handle.AddrAdd(eth0, ip); err != nil {
		return err
	}
	return handle.RouteAdd(&netlink.Route{
		LinkIndex: eth0.Attrs().Index, Gw: net.ParseIP(gateway4), Dst: &net.IPNet{IP: net.IPv4zero.To4(), Mask: net.CIDRMask(0, 32)},
	})
}
