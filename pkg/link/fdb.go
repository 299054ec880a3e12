package link

import (
	"errors"
	"fmt"
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// FDBEntry is the bridge's entry for the container's MAC address at its port. The port itself
// does not learn (Veth.Static), so that a container can neither fill the bridge's table nor draw
// another container's frames to itself. Frames to a MAC address that the container chose on its
// own reach every port. FDBEntry needs the Veth, PortReady and the Vlans before it.
type FDBEntry struct {
	Owner   plan.Owner
	Bridge  string
	MAC     net.HardwareAddr
	VLAN    uint16 // of the container; 0 for none, or all that the port has
	Changed bool   // a plugin after us gave the container another MAC address
}

// Add makes the entry. Add replaces a learned entry, and one of a port whose container is gone.
// An entry that somebody set for another port is a plan.AddressHeldError: a MAC address follows
// from an IP address, so the other container has the same IP address, too.
func (f FDBEntry) Add(s *plan.Session) error {
	port, err := s.HostIndex(f.Owner.LinkName())
	if err != nil {
		return err
	}
	err = f.set(s, port, unix.NLM_F_EXCL)
	if !errors.Is(err, unix.EEXIST) {
		return err
	}
	have, found, err := f.find(s)
	switch {
	case err != nil:
		return err
	case found && isStatic(have) && int(have.Index) == port:
		return nil
	case found && isStatic(have):
		if err := f.held(s, int(have.Index)); err != nil {
			return err
		}
	}
	return f.set(s, port, unix.NLM_F_REPLACE)
}

// held is nil if nobody can be behind the port.
func (f FDBEntry) held(s *plan.Session, port int) error {
	link, err := s.Host.LinkByIndex(port)
	if errors.Is(err, unix.ENODEV) {
		return nil
	}
	if err != nil {
		return fmt.Errorf("fdb %s: port %d: %w", f.MAC, port, err)
	}
	if dying, err := s.Host.Dying(link); err != nil || dying {
		return err
	}
	holder := "port " + link.Name
	if label.IsTag(label.Tag(link.Alias)) {
		holder = label.Describe(link.Alias)
	}
	address := f.MAC.String()
	if derived(f.MAC) {
		address = fmt.Sprintf("%s (MAC address %s)", addressOf(f.MAC), f.MAC)
	}
	return &plan.AddressHeldError{Address: fmt.Sprintf("%s on bridge %s", address, f.Bridge), Holder: holder}
}

func (f FDBEntry) set(s *plan.Session, port, flags int) error {
	s.Host.Queue(f.request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|flags, &vishvananda.Ndmsg{
		Index: uint32(port), State: unix.NUD_NOARP, Flags: unix.NTF_MASTER,
	}), "fdb %s dev %s: add", f.MAC, f.Owner.LinkName())
	return s.Host.Flush()
}

// request begins a message about the entry. The library sends the padding of head, too: a copy of
// head may have anything there.
func (f FDBEntry) request(kind, flags int, head *vishvananda.Ndmsg) *nl.NetlinkRequest {
	head.Family = unix.AF_BRIDGE
	req := netlink.Request(kind, flags, head, netlink.Bytes(unix.NDA_LLADDR, f.MAC))
	if f.VLAN != 0 {
		req.AddData(nl.NewRtAttr(unix.NDA_VLAN, nl.Uint16Attr(f.VLAN)))
	}
	return req
}

// find asks the bridge for the entry.
func (f FDBEntry) find(s *plan.Session) (have vishvananda.Ndmsg, found bool, err error) {
	bridge, err := s.Host.Link(f.Bridge)
	if err != nil {
		return have, false, fmt.Errorf("bridge %s: %w", f.Bridge, err)
	}
	req := f.request(unix.RTM_GETNEIGH, 0, &vishvananda.Ndmsg{})
	req.AddData(netlink.Number(unix.NDA_MASTER, bridge.Index))
	err = s.Host.Get(req, func(data []byte) error {
		if len(data) < unix.SizeofNdMsg {
			return errors.New("netlink: neighbour message too short")
		}
		have = vishvananda.Ndmsg{Index: nl.NativeEndian().Uint32(data[4:]), State: nl.NativeEndian().Uint16(data[8:])}
		return nil
	})
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return have, false, fmt.Errorf("fdb %s: %w", f.MAC, err)
	}
	return have, err == nil, nil
}

// isStatic says whether somebody set the entry: it is neither learned nor ageing.
func isStatic(m vishvananda.Ndmsg) bool { return m.State&(unix.NUD_NOARP|unix.NUD_PERMANENT) != 0 }

// Check looks for the entry at the container's port. The Veth reports a missing link.
func (f FDBEntry) Check(s *plan.Session) error {
	if f.Changed {
		return nil
	}
	name := f.Owner.LinkName()
	port, err := s.HostIndex(name)
	if err != nil {
		return netlink.Ignore(err, netlink.ErrNoLink)
	}
	have, found, err := f.find(s)
	if err != nil {
		return err
	}
	d := plan.Compare(plan.FDBKind, "bridge "+f.Bridge)
	switch {
	case !found || !isStatic(have):
		d.Missing("static fdb entry", f.MAC.String())
	case int(have.Index) != port:
		other := fmt.Sprintf("number %d", have.Index)
		if link, err := s.Host.LinkByIndex(int(have.Index)); err == nil {
			other = link.Name
		}
		d.Want("port of "+f.MAC.String(), name, other)
	}
	return d.Err()
}

func (f FDBEntry) String() string {
	return fmt.Sprintf("bridge fdb add %s dev %s master static", f.MAC, f.Owner.LinkName()) + when(f.VLAN != 0, " vlan %d", f.VLAN)
}

// Neighbour is the MAC address that the host remembers for an address behind a link of its
// own; nil where it remembers none. Kernels before 5.0 do not answer: nil, too.
func Neighbour(s *plan.Session, name string, a netip.Addr) (mac net.HardwareAddr, err error) {
	index, err := s.HostIndex(name)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	req := netlink.Request(unix.RTM_GETNEIGH, 0, &vishvananda.Ndmsg{Family: uint8(netlink.Family(a)), Index: uint32(index)},
		netlink.Bytes(unix.NDA_DST, a.AsSlice()))
	err = s.Host.Get(req, func(data []byte) error {
		mac, _ = neighbourMAC(data)
		return nil
	})
	return mac, netlink.Ignore(err, unix.ENOENT, unix.EOPNOTSUPP, unix.ENODEV) // ENODEV: GC has retired the bridge since
}

// HeldAddresses are the IPv4 addresses that static entries of the bridge stand for: the MAC
// address of a container of ours follows from its first address (Owner.ContainerMAC).
func HeldAddresses(s *plan.Session, bridge string) (list []netip.Addr, err error) {
	index, err := s.HostIndex(bridge)
	if err != nil {
		return nil, err
	}
	req := netlink.Request(unix.RTM_GETNEIGH, 0, &vishvananda.Ndmsg{Family: unix.AF_BRIDGE},
		netlink.Number(unix.NDA_MASTER, index))
	err = s.Host.Dump(req, func() { list = nil }, func(data []byte) error {
		if mac, state := neighbourMAC(data); isStatic(vishvananda.Ndmsg{State: state}) && derived(mac) {
			list = append(list, addressOf(mac))
		}
		return nil
	})
	return list, netlink.Ignore(err, unix.ENODEV) // GC has retired the bridge since
}

// derived says whether a MAC address follows from an IPv4 address (Owner.ContainerMAC).
func derived(mac net.HardwareAddr) bool { return len(mac) == 6 && mac[0] == 0x0a && mac[1] == 0x58 }

// addressOf is the IPv4 address of a derived MAC address.
func addressOf(mac net.HardwareAddr) netip.Addr { return netip.AddrFrom4([4]byte(mac[2:])) }

// neighbourMAC reads a neighbour's MAC address and state (struct ndmsg).
func neighbourMAC(data []byte) (mac net.HardwareAddr, state uint16) {
	if len(data) < unix.SizeofNdMsg {
		return nil, 0
	}
	attrs, _ := netlink.Attributes(data[unix.SizeofNdMsg:])
	for _, a := range attrs {
		if a.Type == unix.NDA_LLADDR {
			mac = net.HardwareAddr(append([]byte(nil), a.Value...))
		}
	}
	return mac, netlink.U16(data[8:])
}
