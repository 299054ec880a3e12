package link

import (
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// aliasLimit is IFALIASZ less the terminating zero (linux/if.h).
const aliasLimit = 255

// Veth is the pair of links between bridge and container: one kernel object, made
// with all its attributes. Both ends go with either.
type Veth struct {
	Owner    plan.Owner
	IfName   string // the container's end
	Master   string // bridge; "" for none
	MTU      int    // bytes, both ends; 0 leaves the kernel's default of 1500
	MAC      net.HardwareAddr
	Hairpin  bool // frames may leave by the port they came in
	Isolated bool // no frames to other isolated ports, only to bridge and uplinks
	IfDown   bool // the container's end stays down
	Static   bool // the port learns no MAC addresses: an FDBEntry names the container's
	Group    uint32
}

// Add makes the pair with the container's end directly in its namespace: moving a
// link between namespaces waits 14-18 ms for RCU. The second request, in the same
// send, sets what the kernel takes only for a link that exists (do_setlink).
func (v Veth) Add(s *plan.Session) error {
	name := v.Owner.LinkName()
	create, err := v.create(s, name)
	if err != nil {
		return err
	}
	s.Host.Queue(create, "veth %s: create with peer %s", name, v.IfName)
	s.Host.Queue(v.configure(name), "veth %s: configure", name)
	err = s.Host.Flush()
	if errors.Is(err, unix.EEXIST) {
		return v.explainExists(s, name, err)
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

// noIPv6 switches IPv6 off on the host's end, which needs no address. Without IPv6 the link
// joins no groups and sends no multicast, which the bridge would flood to all ports.
func noIPv6(name string) Sysctl {
	return Sysctl{Key: "net/ipv6/conf/" + name + "/disable_ipv6", Value: "1", Optional: true}
}

func (v Veth) create(s *plan.Session, name string) (*nl.NetlinkRequest, error) {
	req := netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, name, true)
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, v.Owner.HostMAC()))
	if v.MTU > 0 {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU))))
	}
	if v.Master != "" {
		master, err := s.HostIndex(v.Master)
		if err != nil {
			return nil, err
		}
		req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
	}
	if v.Group != 0 {
		req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(v.Group)))
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("veth"))
	peer := info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.VETH_INFO_PEER, nil)
	// Not IFF_UP: the peer would be opened before it is linked, ENOTCONN.
	nl.NewIfInfomsgChild(peer, unix.AF_UNSPEC)
	peer.AddRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(v.IfName))
	peer.AddRtAttr(unix.IFLA_ADDRESS, v.MAC)
	if v.MTU > 0 {
		peer.AddRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU)))
	}
	peer.AddRtAttr(unix.IFLA_NET_NS_FD, nl.Uint32Attr(uint32(s.NetnsFd())))
	req.AddData(info)
	return req, nil
}

func (v Veth) configure(name string) *nl.NetlinkRequest {
	req := netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, false)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFALIAS, nl.NonZeroTerminated(v.Owner.Comment(aliasLimit))))
	if v.Master != "" && (v.Hairpin || v.Isolated || v.Static) {
		info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
		port := info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil)
		port.AddRtAttr(nl.IFLA_BRPORT_MODE, flag(v.Hairpin))
		if v.Isolated {
			port.AddRtAttr(nl.IFLA_BRPORT_ISOLATED, flag(true))
		}
		if v.Static {
			port.AddRtAttr(nl.IFLA_BRPORT_LEARNING, flag(false))
		}
		req.AddData(info)
	}
	return req
}

func flag(on bool) []byte {
	if on {
		return []byte{1}
	}
	return []byte{0}
}

// explainExists tells which of the two names is taken.
func (v Veth) explainExists(s *plan.Session, name string, cause error) error {
	if _, err := s.Container.Link(v.IfName); err == nil {
		return fmt.Errorf("CNI_IFNAME: %s exists already in the container: choose another name or DEL it first: %w", v.IfName, plan.ErrConflict)
	}
	if _, err := s.Host.Link(name); err == nil {
		return fmt.Errorf("veth %s: this attachment exists already: DEL it first: %w", name, plan.ErrConflict)
	}
	return cause
}

// Check compares both ends with the plan.
func (v Veth) Check(s *plan.Session) error {
	return errors.Join(v.checkHost(s), v.checkContainer(s))
}

func (v Veth) checkHost(s *plan.Session) error {
	name := v.Owner.LinkName()
	d := plan.Compare(plan.LinkKind, "veth "+name)
	link, err := s.Host.Link(name)
	if errors.Is(err, netlink.ErrNoLink) {
		d.Missing("link", name)
		return d.Err()
	}
	if err != nil {
		return fmt.Errorf("veth %s: %w", name, err)
	}
	d.Want("state", "up", upText(link.Up))
	d.Want("mac", v.Owner.HostMAC(), link.MAC)
	if !label.Same(link.Alias, v.Owner.Tag()) { // by which GC and DEL know the link
		d.Want("alias", v.Owner.Comment(aliasLimit), orNone(link.Alias))
	}
	if link.IPv6 {
		d.Want("disable_ipv6", true, link.NoIPv6)
	}
	if v.Group != 0 {
		d.Want("group", v.Group, link.Group)
	}
	if v.MTU > 0 {
		d.Want("mtu", v.MTU, link.MTU)
	}
	if v.Master == "" {
		return d.Err()
	}
	master, err := s.HostIndex(v.Master)
	if err != nil && !errors.Is(err, netlink.ErrNoLink) {
		return err
	}
	if link.Port == nil || err != nil || link.Master != master {
		d.Missing("port of bridge", v.Master)
		return d.Err()
	}
	d.Want("hairpin", v.Hairpin, link.Port.Hairpin)
	d.Want("isolated", v.Isolated, link.Port.Isolated)
	if v.Static {
		d.Want("learning", false, link.Port.Learning)
	}
	if !v.IfDown && link.Port.State == 0 {
		d.Want("port state", "forwarding", "disabled")
	}
	return d.Err()
}

func (v Veth) checkContainer(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "container link "+v.IfName)
	link, err := s.Container.Link(v.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		d.Missing("link", v.IfName)
		return d.Err()
	}
	if err != nil {
		return fmt.Errorf("container link %s: %w", v.IfName, err)
	}
	d.Want("kind", "veth", link.Kind)
	if len(v.MAC) > 0 {
		d.Want("mac", v.MAC, link.MAC)
	}
	if v.MTU > 0 {
		d.Want("mtu", v.MTU, link.MTU)
	}
	if !v.IfDown {
		d.Want("state", "up", upText(link.Up))
	}
	return d.Err()
}

// Mend brings an existing pair back to the plan: up, plugged in, with MTU, alias and the
// port's flags. It does not make a missing end: the container would lose its address.
func (v Veth) Mend(s *plan.Session) error {
	name := v.Owner.LinkName()
	if _, err := s.Host.Link(name); err != nil {
		return fmt.Errorf("veth %s: %w: only a new ADD can make it: replace the container", name, err)
	}
	req := netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, true)
	inside := netlink.LinkRequest(unix.RTM_NEWLINK, 0, v.IfName, !v.IfDown)
	if v.MTU > 0 {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU))))
		inside.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(v.MTU))))
	}
	if len(v.MAC) > 0 {
		inside.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, v.MAC))
	}
	if v.Master != "" {
		master, err := s.HostIndex(v.Master)
		if err != nil {
			return err
		}
		req.AddData(nl.NewRtAttr(unix.IFLA_MASTER, nl.Uint32Attr(uint32(master))))
	}
	req.AddData(nl.NewRtAttr(unix.IFLA_GROUP, nl.Uint32Attr(v.Group)))
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, v.Owner.HostMAC()))
	s.Host.Queue(req, "veth %s: plug in", name)
	configured := v
	configured.Hairpin, configured.Isolated, configured.Static = false, false, false
	s.Host.Queue(configured.configure(name), "veth %s: configure", name)
	if v.Master != "" {
		s.Host.Queue(v.portFlags(name), "veth %s: set port flags", name)
	}
	s.Container.Queue(inside, "container link %s: set up", v.IfName)
	return errors.Join(s.Flush(), noIPv6(name).Add(s))
}

func orNone(text string) string {
	if text == "" {
		return "none"
	}
	return text
}

// portFlags sets all of the port's flags, on or off.
func (v Veth) portFlags(name string) *nl.NetlinkRequest {
	req := netlink.LinkRequest(unix.RTM_NEWLINK, 0, name, false)
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_SLAVE_KIND, nl.NonZeroTerminated("bridge"))
	port := info.AddRtAttr(nl.IFLA_INFO_SLAVE_DATA, nil)
	port.AddRtAttr(nl.IFLA_BRPORT_MODE, flag(v.Hairpin))
	port.AddRtAttr(nl.IFLA_BRPORT_ISOLATED, flag(v.Isolated))
	port.AddRtAttr(nl.IFLA_BRPORT_LEARNING, flag(!v.Static))
	req.AddData(info)
	return req
}

// Exists says whether the host has a link of the name.
func Exists(s *plan.Session, name string) bool {
	_, err := s.Host.Link(name)
	return err == nil
}

// Del removes the pair.
func (v Veth) Del(s *plan.Session) error { return s.Host.DeleteLink(v.Owner.LinkName()) }

func (v Veth) String() string {
	name, mtu, master, hairpin := v.Owner.LinkName(), "", "", ""
	if v.MTU > 0 {
		mtu = fmt.Sprintf(" mtu %d", v.MTU)
	}
	if v.Master != "" {
		master = " master " + v.Master
	}
	if v.Group != 0 {
		master += fmt.Sprintf(" group %d", v.Group)
	}
	if v.Static {
		hairpin = fmt.Sprintf("\nip link set %s type bridge_slave learning off", name)
	}
	if v.Isolated {
		hairpin += fmt.Sprintf("\nip link set %s type bridge_slave isolated on", name)
	}
	if v.Hairpin {
		hairpin += fmt.Sprintf("\nip link set %s type bridge_slave hairpin on", name)
	}
	return fmt.Sprintf("ip link add %s address %s%s%s up type veth peer name %s address %s%s netns $CNI_NETNS\nip link set %s alias %q%s\nsysctl -w net.ipv6.conf.%s.disable_ipv6=1",
		name, v.Owner.HostMAC(), mtu, master, v.IfName, v.MAC, mtu, name, v.Owner.Comment(aliasLimit), hairpin, name)
}
