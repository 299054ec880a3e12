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

// PortReady waits until the bridge port of an attachment forwards, so that the container's first
// packet is not lost. PortReady needs LinkUp before it. From Linux 6.9 on the first look is
// enough: the answer makes the kernel finish pending carrier work (linkwatch_sync_dev in
// rtnl_getlink). Older kernels finish it within a jiffy or two.
func PortReady(o plan.Owner) plan.Step {
	name := o.LinkName()
	return plan.Step{Name: "wait until the port " + name + " forwards", Run: func(s *plan.Session) error {
		here := func(fn func() error) error { return fn() }
		return await(s, here, unix.RTNLGRP_LINK, portTimeout, "veth "+name+": bridge port does not come up", func() (bool, error) {
			link, err := s.HostLink(name)
			if err != nil {
				return false, fmt.Errorf("veth %s: %w", name, err)
			}
			// With STP the port listens and learns for 30 s. The administrator chose that, and
			// PortReady does not wait for the end of it.
			return link.Oper && (link.Port == nil || link.Port.State != 0), nil
		})
	}}
}

// await sends what is queued and waits until done says true. done looks again after each
// announcement of the group, to which await listens in the namespace that inside enters.
func await(s *plan.Session, inside func(func() error) error, group int, timeout time.Duration, late string, done func() (bool, error)) error {
	if err := s.FlushLinks(); err != nil {
		return err
	}
	if is, err := done(); is || err != nil {
		return err
	}
	var events *netlink.Conn
	if err := inside(func() (err error) { events, err = netlink.Dial(); return err }); err != nil {
		return err
	}
	defer events.Close()
	if err := events.Join(group); err != nil {
		return err
	}
	for deadline := time.Now().Add(timeout); ; {
		// The next look follows Join, so that no announcement is lost.
		if is, err := done(); is || err != nil {
			return err
		}
		if err := events.Wait(deadline); err != nil {
			return fmt.Errorf("%s within %s: %w", late, timeout, err)
		}
	}
}

// dadTimeout bounds the wait for duplicate address detection: one probe and a
// random delay of up to a second each (RFC 4862, section 5.4.2).
const dadTimeout = 10 * time.Second

// AddressesReady waits until no IPv6 address of the container's link is tentative: a connection
// that is made before has ::1 for its source, for good. Without duplicate address detection the
// kernel needs a moment, in a work queue. A duplicate is an error.
func AddressesReady(ifName string) plan.Step {
	return plan.Step{Name: "wait until no IPv6 address of " + ifName + " is tentative", Run: func(s *plan.Session) error {
		late := "container link " + ifName + ": duplicate address detection does not end"
		return await(s, s.Inside, unix.RTNLGRP_IPV6_IFADDR, dadTimeout, late, func() (bool, error) {
			index, err := s.ContainerIndex(ifName)
			if err != nil {
				return false, err
			}
			return settled(s.Container, index)
		})
	}}
}

// settled says whether no address of the link is tentative.
func settled(c *netlink.Conn, index int) (is bool, err error) {
	msg := nl.NewIfAddrmsg(unix.AF_INET6)
	msg.Index = uint32(index)
	err = c.Dump(netlink.Request(unix.RTM_GETADDR, 0, msg), func() { is = true }, func(data []byte) error {
		m := nl.DeserializeIfAddrmsg(data)
		if int(m.Index) != index {
			return nil
		}
		if m.IfAddrmsg.Flags&unix.IFA_F_DADFAILED != 0 {
			p, _ := netlink.PrefixOf(data[m.Len():], int(m.Prefixlen))
			return fmt.Errorf("container link: address %s: another host on the link has it (duplicate address detection)", p)
		}
		is = is && m.IfAddrmsg.Flags&unix.IFA_F_TENTATIVE == 0
		return nil
	})
	return is, err
}
