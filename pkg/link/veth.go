package link

import (
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/shell"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// aliasLimit is IFALIASZ less the terminating zero (linux/if.h).
const aliasLimit = 255

// Veth is the pair of links between bridge and container: one kernel object, made with all its
// attributes. With one end the other goes. Veth with a Master needs the Bridge before it.
type Veth struct {
	Owner    plan.Owner
	IfName   string // the container's end
	Master   string // bridge; "" for none
	MTU      int    // bytes, both ends; 0 leaves the kernel's default of 1500
	MAC      net.HardwareAddr
	Hairpin  bool // frames may leave by the port that they came in by
	Isolated bool // no frames to other isolated ports, only to bridge and uplinks
	IfDown   bool // the container's end stays down
	Static   bool // the port learns no MAC addresses: an FDBEntry names the container's
	Group    uint32
}

// Add makes the pair with the container's end in the container's namespace: a later move of the
// link to another namespace would wait 14-18 ms for RCU. The second request, in the same send,
// sets what the kernel takes only for a link that exists (do_setlink).
func (v Veth) Add(s *plan.Session) error {
	name := v.Owner.LinkName()
	master, err := v.master(s)
	if err != nil {
		return err
	}
	s.Host.Queue(v.create(s, name, master), "veth %s: create with peer %s", name, v.IfName)
	s.Host.Queue(v.configure(name, v.wantedFlags()...), "veth %s: configure", name)
	err = s.Host.Flush()
	if errors.Is(err, unix.EEXIST) {
		if taken := s.Vacant(v.Owner); errors.Is(taken, plan.ErrConflict) {
			return taken
		}
		return err
	}
	if errors.Is(err, unix.EXFULL) {
		err = fmt.Errorf("bridge %s: full: a bridge has at most 1023 ports (BR_MAX_PORTS): %w", v.Master, err)
	}
	if err == nil {
		err = noIPv6(name).Add(s)
	}
	if err != nil {
		return errors.Join(err, s.Host.DeleteLink(name))
	}
	return nil
}

// master is the bridge's index; 0 for a pair without a bridge.
func (v Veth) master(s *plan.Session) (int, error) {
	if v.Master == "" {
		return 0, nil
	}
	return s.HostIndex(v.Master)
}

// noIPv6 switches IPv6 off on the host's end, which needs no address. Without IPv6 the link
// joins no groups and sends no multicast, which the bridge would flood to all ports. With IPv6 it
// takes no packet either: the bridge has them all.
func noIPv6(name string) Sysctl {
	return Sysctl{Key: "net/ipv6/conf/" + name + "/disable_ipv6", Value: "1", Optional: true, Cosmetic: true}
}

func (v Veth) create(s *plan.Session, name string, master int) *nl.NetlinkRequest {
	return netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, name, true,
		netlink.Bytes(unix.IFLA_ADDRESS, v.Owner.HostMAC()), netlink.Number(unix.IFLA_MTU, v.MTU),
		netlink.Number(unix.IFLA_MASTER, master), netlink.Number(unix.IFLA_GROUP, v.Group),
		pairInfo(v.IfName, netlink.Bytes(unix.IFLA_ADDRESS, v.MAC), netlink.Number(unix.IFLA_MTU, v.MTU),
			nl.NewRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(s.NetnsFd())))))
}

// pairInfo is IFLA_LINKINFO of a veth, with the name and the attributes of its other end. That end
// is not IFF_UP: the kernel would open it before it is linked to this one (ENOTCONN).
func pairInfo(name string, attrs ...*nl.RtAttr) *nl.RtAttr {
	peer := nl.NewRtAttr(nl.VETH_INFO_PEER, nil)
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(name))
	for _, a := range attrs {
		if a != nil {
			peer.AddChild(a)
		}
	}
	return netlink.LinkInfo("veth", peer)
}

// configure sets the alias, and of a bridge's port the flags.
func (v Veth) configure(name string, portFlags ...*nl.RtAttr) *nl.NetlinkRequest {
	return netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, false, aliasAttr(v.Owner.Comment(aliasLimit)), portInfo(portFlags...))
}

// portInfo is IFLA_LINKINFO of a bridge's port; nil without flags.
func portInfo(flags ...*nl.RtAttr) *nl.RtAttr {
	if len(flags) == 0 {
		return nil
	}
	return netlink.Nest(unix.IFLA_LINKINFO,
		nl.NewRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge")), netlink.Nest(nl.IFLA_INFO_SLAVE_DATA, flags...))
}

// wantedFlags are the flags that a new port does not have by itself; nil for none.
func (v Veth) wantedFlags() []*nl.RtAttr {
	if v.Master == "" || !v.Hairpin && !v.Isolated && !v.Static {
		return nil
	}
	flags := []*nl.RtAttr{netlink.Flag(nl.IFLA_BRPORT_MODE, v.Hairpin)}
	if v.Isolated {
		flags = append(flags, netlink.Flag(nl.IFLA_BRPORT_ISOLATED, true))
	}
	if v.Static {
		flags = append(flags, netlink.Flag(nl.IFLA_BRPORT_LEARNING, false))
	}
	return flags
}

// Check compares both ends with the plan.
func (v Veth) Check(s *plan.Session) error {
	return errors.Join(v.checkHost(s), v.checkContainer(s))
}

func (v Veth) checkHost(s *plan.Session) error {
	name := v.Owner.LinkName()
	d := plan.Compare(plan.LinkKind, "veth "+name)
	link, err := s.Host.Link(name)
	if err != nil {
		return noLink(plan.LinkKind, "veth "+name, name, err)
	}
	d.WantIf(!link.Up, "state", "up", "down")
	d.Want("mac", v.Owner.HostMAC(), link.MAC)
	// GC and DEL find the link by the tag in its alias.
	d.WantIf(!label.Same(link.Alias, v.Owner.Tag()), "alias", v.Owner.Comment(aliasLimit), cmp.Or(link.Alias, "none"))
	d.WantIf(link.IPv6 && !link.NoIPv6 && !noIPv6(name).fixed(s.Sysctls), "disable_ipv6", true, link.NoIPv6)
	d.WantIf(v.Group != 0, "group", v.Group, link.Group)
	d.WantIf(v.MTU > 0, "mtu", v.MTU, link.MTU)
	if v.Master == "" {
		return d.Err()
	}
	master, err := s.HostIndex(v.Master)
	if err != nil && !errors.Is(err, netlink.ErrNoLink) {
		return err
	}
	if link.Port == nil || err != nil || link.Master != master {
		return d.Missing("port of bridge", v.Master).Err()
	}
	d.Want("hairpin", v.Hairpin, link.Port.Hairpin)
	d.Want("isolated", v.Isolated, link.Port.Isolated)
	d.WantIf(v.Static, "learning", false, link.Port.Learning)
	d.WantIf(!v.IfDown && link.Port.State == 0, "port state", "forwarding", "disabled")
	return d.Err()
}

func (v Veth) checkContainer(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "container link "+v.IfName)
	link, err := s.Container.Link(v.IfName)
	if err != nil {
		return noLink(plan.LinkKind, "container link "+v.IfName, v.IfName, err)
	}
	d.Want("kind", "veth", link.Kind)
	d.WantIf(len(v.MAC) > 0, "mac", v.MAC, link.MAC)
	d.WantIf(v.MTU > 0, "mtu", v.MTU, link.MTU)
	d.WantIf(!v.IfDown && !link.Up, "state", "up", "down")
	return d.Err()
}

// Mend brings an existing pair back to the plan: up, plugged in, with MTU, alias and the port's
// flags. Mend does not make a missing end: the container would lose its address.
func (v Veth) Mend(s *plan.Session) error {
	name := v.Owner.LinkName()
	if _, err := s.Host.Link(name); err != nil {
		return fmt.Errorf("veth %s: %w: only a new ADD can make it: replace the container", name, err)
	}
	master, err := v.master(s)
	if err != nil {
		return err
	}
	mtu := netlink.Number(unix.IFLA_MTU, v.MTU)
	s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, true, mtu, netlink.Number(unix.IFLA_MASTER, master),
		nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(v.Group)), netlink.Bytes(unix.IFLA_ADDRESS, v.Owner.HostMAC())), "veth %s: plug in", name)
	s.Host.Queue(v.configure(name), "veth %s: configure", name)
	if v.Master != "" {
		s.Host.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, false, portInfo(netlink.Flag(nl.IFLA_BRPORT_MODE, v.Hairpin),
			netlink.Flag(nl.IFLA_BRPORT_ISOLATED, v.Isolated), netlink.Flag(nl.IFLA_BRPORT_LEARNING, !v.Static))), "veth %s: set port flags", name)
	}
	s.Container.Queue(netlink.LinkRequest(unix.RTM_NEWLINK, 0, v.IfName, !v.IfDown, mtu, netlink.Bytes(unix.IFLA_ADDRESS, v.MAC)), "container link %s: set up", v.IfName)
	return errors.Join(s.Flush(), noIPv6(name).Add(s))
}

// Exists says whether the host has a link of the name.
func Exists(s *plan.Session, name string) bool {
	_, err := s.Host.Link(name)
	return err == nil
}

// Tagged lists the host's ends of the pairs whose tag is takes, by the alias: an end may be renamed.
func Tagged(s *plan.Session, is func(tag string) bool) ([]*netlink.Link, error) {
	links, err := s.Host.Links()
	if err != nil {
		return nil, fmt.Errorf("list links: %w", err)
	}
	return slices.DeleteFunc(links, func(l *netlink.Link) bool { return l.Kind != "veth" || !is(label.Tag(l.Alias)) }), nil
}

// DropTagged deletes the pairs whose tag drop takes.
func DropTagged(s *plan.Session, drop func(tag string) bool) error {
	links, err := Tagged(s, drop)
	errs := []error{err}
	for _, l := range links {
		errs = append(errs, s.Host.DeleteLink(l.Name))
	}
	return errors.Join(errs...)
}

// Del removes the pair.
func (v Veth) Del(s *plan.Session) error { return s.Host.DeleteLink(v.Owner.LinkName()) }

func (v Veth) String() string {
	name, mtu := v.Owner.LinkName(), when(v.MTU > 0, " mtu %d", v.MTU)
	flag := "\nip link set " + name + " type bridge_slave "
	return fmt.Sprintf("ip link add %s address %s%s%s%s up type veth peer name %s address %s%s netns $CNI_NETNS\nip link set %s alias %s%s%s%s\nsysctl -w net.ipv6.conf.%s.disable_ipv6=1",
		name, v.Owner.HostMAC(), mtu, when(v.Master != "", " master %s", v.Master), when(v.Group != 0, " group %d", v.Group), v.IfName, v.MAC, mtu,
		name, shell.Quote(v.Owner.Comment(aliasLimit)), when(v.Static, "%slearning off", flag), when(v.Isolated, "%sisolated on", flag), when(v.Hairpin, "%shairpin on", flag), name)
}
