package link

import (
	"fmt"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// portTimeout bounds the wait for a bridge port to carry packets. It takes
// microseconds, unless the bridge runs STP or the host is frozen.
const portTimeout = 5 * time.Second

// PortReady waits until the bridge port of an attachment forwards, so that the container's
// first packet is not lost. The step comes after the container's link is up.
func PortReady(o plan.Owner) plan.Step {
	name := o.LinkName()
	return plan.Step{Name: "wait until the port " + name + " forwards", Run: func(s *plan.Session) error { return portReady(s, name) }}
}

// portReady asks once: from Linux 6.9 on the answer itself makes the kernel finish pending
// carrier work (linkwatch_sync_dev in rtnl_getlink). Older kernels do that within a jiffy
// or two; there portReady waits for the event.
func portReady(s *plan.Session, name string) error {
	if err := s.FlushLinks(); err != nil {
		return err
	}
	if ready, err := isPortReady(s, name); ready || err != nil {
		return err
	}
	events, err := netlink.Dial()
	if err != nil {
		return err
	}
	defer events.Close()
	if err := events.Join(unix.RTNLGRP_LINK); err != nil {
		return err
	}
	return waitPort(s, events, name)
}

// waitPort looks again after each event; the first look is after joining the
// group, so that no event is lost.
func waitPort(s *plan.Session, events *netlink.Conn, name string) error {
	deadline := time.Now().Add(portTimeout)
	for {
		ready, err := isPortReady(s, name)
		if ready || err != nil {
			return err
		}
		if err := events.Wait(deadline); err != nil {
			return fmt.Errorf("veth %s: bridge port does not come up within %s: %w", name, portTimeout, err)
		}
	}
}

func isPortReady(s *plan.Session, name string) (bool, error) {
	link, err := s.HostLink(name)
	if err != nil {
		return false, fmt.Errorf("veth %s: %w", name, err)
	}
	// With STP the port stays listening and learning for 30 s; that is the
	// administrator's choice and not ours to wait for.
	return link.Oper && (link.Port == nil || link.Port.State != 0), nil
}

// dadTimeout bounds the wait for duplicate address detection: one probe and a
// random delay of up to a second each (RFC 4862, section 5.4.2).
const dadTimeout = 10 * time.Second

// AddressesReady waits until no IPv6 address of the container's link is tentative: a
// connection that is made before gets ::1 for its source, for good. Without duplicate
// address detection that takes the kernel a moment, in a work queue. A duplicate is an error.
func AddressesReady(ifName string) plan.Step {
	return plan.Step{Name: "wait until no IPv6 address of " + ifName + " is tentative", Run: func(s *plan.Session) error { return addressesReady(s, ifName) }}
}

// addressesReady looks, and then waits for the announcements of addresses.
func addressesReady(s *plan.Session, ifName string) error {
	if err := s.FlushLinks(); err != nil {
		return err
	}
	index, err := s.ContainerIndex(ifName)
	if err != nil {
		return err
	}
	if pending, err := tentative(s.Container, index); err != nil || !pending {
		return err
	}
	var events *netlink.Conn
	if err := s.Inside(func() error { events, err = netlink.Dial(); return err }); err != nil {
		return err
	}
	defer events.Close()
	if err := events.Join(unix.RTNLGRP_IPV6_IFADDR); err != nil {
		return err
	}
	deadline := time.Now().Add(dadTimeout)
	for {
		pending, err := tentative(s.Container, index)
		if err != nil || !pending {
			return err
		}
		if err := events.Wait(deadline); err != nil {
			return fmt.Errorf("container link %s: duplicate address detection does not end within %s: %w", ifName, dadTimeout, err)
		}
	}
}

// tentative says whether detection is still going on.
func tentative(c *netlink.Conn, index int) (bool, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETADDR, 0)
	msg := nl.NewIfAddrmsg(unix.AF_INET6)
	msg.Index = uint32(index)
	req.AddData(msg)
	pending := false
	err := c.Dump(req, func() { pending = false }, func(data []byte) error {
		m := nl.DeserializeIfAddrmsg(data)
		if int(m.Index) != index {
			return nil
		}
		attrs, err := netlink.Attributes(data[m.Len():])
		if err != nil {
			return err
		}
		if m.IfAddrmsg.Flags&unix.IFA_F_DADFAILED != 0 {
			p, _ := netlink.PrefixOf(attrs, int(m.Prefixlen))
			return fmt.Errorf("container link: address %s: another host on the link has it (duplicate address detection)", p)
		}
		pending = pending || m.IfAddrmsg.Flags&unix.IFA_F_TENTATIVE != 0
		return nil
	})
	return pending, err
}
