package link

import (
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// FDBEntry tells the bridge which port has the container's MAC address, since the
// port does not learn (Veth.Static): a container can neither fill the bridge's table
// nor draw another's frames to itself. Addresses that a container takes on its own
// work, but their frames reach every port, as those of unknown ones do.
type FDBEntry struct {
	Owner  plan.Owner
	Bridge string
	MAC    net.HardwareAddr
	VLAN   uint16 // the one that the container is in; 0 for none, or all that the port has
	// Asked says that the MAC address was asked for, not chosen: then another's is
	// refused. A chosen one follows from an IP address, whose newest owner is right.
	Asked bool
	// Changed says that a plugin after us gave the container another MAC address.
	Changed bool
}

// Add makes the entry: after the Vlans, which it may name, and after PortReady, which
// knows the port's index. A learned entry is replaced; one of another port that somebody
// set is ErrConflict, if the address was asked for.
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
	case found && isStatic(have) && f.Asked:
		return fmt.Errorf("mac: %s is on bridge %s already, at its port %s: give the container another: %w", f.MAC, f.Bridge, linkName(s, int(have.Index)), plan.ErrConflict)
	}
	return f.set(s, port, unix.NLM_F_REPLACE)
}

func (f FDBEntry) set(s *plan.Session, port, flags int) error {
	req := nl.NewNetlinkRequest(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|flags)
	req.AddData(&vishvananda.Ndmsg{Family: unix.AF_BRIDGE, Index: uint32(port), State: unix.NUD_NOARP, Flags: unix.NTF_MASTER})
	f.key(req)
	s.Host.Queue(req, "fdb %s dev %s: add", f.MAC, f.Owner.LinkName())
	return s.Host.Flush()
}

func (f FDBEntry) key(req *nl.NetlinkRequest) {
	req.AddData(nl.NewRtAttr(unix.NDA_LLADDR, f.MAC))
	if f.VLAN != 0 {
		req.AddData(nl.NewRtAttr(unix.NDA_VLAN, nl.Uint16Attr(f.VLAN)))
	}
}

// find asks the bridge for the entry.
func (f FDBEntry) find(s *plan.Session) (have vishvananda.Ndmsg, found bool, err error) {
	bridge, err := s.Host.Link(f.Bridge)
	if err != nil {
		return have, false, fmt.Errorf("bridge %s: %w", f.Bridge, err)
	}
	req := nl.NewNetlinkRequest(unix.RTM_GETNEIGH, 0)
	req.AddData(&vishvananda.Ndmsg{Family: unix.AF_BRIDGE})
	f.key(req)
	req.AddData(nl.NewRtAttr(unix.NDA_MASTER, nl.Uint32Attr(uint32(bridge.Index))))
	err = s.Host.Get(req, func(data []byte) error {
		if len(data) < unix.SizeofNdMsg {
			return errors.New("netlink: neighbour message too short")
		}
		have = vishvananda.Ndmsg{Index: nl.NativeEndian().Uint32(data[4:]), State: nl.NativeEndian().Uint16(data[8:])}
		return nil
	})
	if errors.Is(err, unix.ENOENT) {
		return have, false, nil
	}
	if err != nil {
		return have, false, fmt.Errorf("fdb %s: %w", f.MAC, err)
	}
	return have, true, nil
}

// isStatic says whether somebody set the entry: it is neither learned nor ageing.
func isStatic(m vishvananda.Ndmsg) bool { return m.State&(unix.NUD_NOARP|unix.NUD_PERMANENT) != 0 }

// linkName is the name of a link of the host, for messages.
func linkName(s *plan.Session, index int) string {
	links, err := s.Host.Links()
	if err == nil {
		for _, l := range links {
			if l.Index == index {
				return l.Name
			}
		}
	}
	return fmt.Sprintf("number %d", index)
}

// Check wants the entry at the container's port.
func (f FDBEntry) Check(s *plan.Session) error {
	if f.Changed {
		return nil
	}
	name := f.Owner.LinkName()
	port, err := s.HostIndex(name)
	if errors.Is(err, netlink.ErrNoLink) {
		return nil // the link's own object says it
	}
	if err != nil {
		return err
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
		d.Want("port of "+f.MAC.String(), name, linkName(s, int(have.Index)))
	}
	return d.Err()
}

func (f FDBEntry) String() string {
	text := fmt.Sprintf("bridge fdb add %s dev %s master static", f.MAC, f.Owner.LinkName())
	if f.VLAN != 0 {
		text += fmt.Sprintf(" vlan %d", f.VLAN)
	}
	return text
}
