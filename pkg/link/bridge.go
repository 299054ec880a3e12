// Package link is what `ip link`, `ip address`, `ip route`, `bridge` and `sysctl` would make:
// the bridge with its gateway addresses and VLANs, the veth pair, and what is in the
// container's namespace. Each type is a plan.Object, or a plan.Step that waits.
//
// What an object stands on comes before it in the plan: Gateway, Veth and VlanGateway need
// Bridge; Vlans and FDBEntry need Veth; Addr, Route and LinkUp need Veth; a Route with a
// gateway needs the Addr that reaches it, and LinkUp.
//
//	b := link.Bridge{Name: "cni0", MTU: 1500}
//	fmt.Println(b) // ip link add cni0 address … mtu 1500 up type bridge
package link

import (
	"bytes"
	"errors"
	"fmt"
	"net"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// bridgeAlias begins the alias of each bridge that we made. Others' bridges are
// used, but never changed more than the configuration asks, and never removed.
const bridgeAlias = "bridgeport"

// Bridge is the bridge that attachments of a network plug into. It is shared.
type Bridge struct {
	Name string
	MTU  int // bytes; 0 leaves an existing bridge's and the kernel's default
	// Promisc makes the bridge itself see all frames. Off leaves it as it is:
	// somebody may be looking at the traffic.
	Promisc bool
	// Vlans makes it tell VLANs apart. Off leaves it as it is.
	Vlans bool
}

// Add makes the bridge with an address of its own, so that it does not change
// when ports come and go (br_stp_recalculate_bridge_id) and udev leaves it alone
// (addr_assign_type NET_ADDR_SET).
func (b Bridge) Add(s *plan.Session) error {
	link, err := s.HostLink(b.Name)
	if errors.Is(err, netlink.ErrNoLink) {
		// Looked at under the lock: GC may retire it right behind that.
		err = plan.Locked(func() error {
			if err := b.create(s); err != nil {
				return err
			}
			link, err = s.HostLink(b.Name)
			return err
		})
	}
	if err == nil {
		err = b.usable(link)
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", b.Name, err)
	}
	return b.reconcile(s, link)
}

func (b Bridge) usable(link *netlink.Link) error {
	if link.Kind == "bridge" {
		return nil
	}
	return fmt.Errorf("a link of this name exists and is not a bridge but %s: name another in \"bridge\": %w", kindText(link.Kind), plan.ErrConflict)
}

func kindText(kind string) string {
	if kind == "" {
		return "a device"
	}
	return "a " + kind
}

// create makes the bridge unless somebody was faster, and then says that it is ours.
// A crash between the two leaves one that ours still knows.
func (b Bridge) create(s *plan.Session) error {
	req := netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b.Name, true)
	mac := plan.HardwareAddr("bridge", machine(), b.Name)
	req.AddData(nl.NewRtAttr(unix.IFLA_ADDRESS, mac))
	if b.MTU > 0 {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(b.MTU))))
	}
	info := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
	info.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
	if b.Vlans {
		info.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_VLAN_FILTERING, flag(true))
	}
	req.AddData(info)
	s.Host.Queue(req, "create")
	err := s.Host.Flush()
	switch {
	case errors.Is(err, unix.EEXIST):
		return nil
	case errors.Is(err, unix.EOPNOTSUPP) && b.Vlans:
		return fmt.Errorf("%w: the kernel lacks bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING), which \"vlan\" and \"vlanTrunk\" need", err)
	case err != nil:
		return err
	}
	// The kernel takes an alias only for a link that exists (do_setlink).
	return setAlias(s, b.Name, bridgeAlias)
}

// reconcile brings an existing bridge up and, where asked for, into promiscuous
// mode; one of ours gets the configured MTU.
func (b Bridge) reconcile(s *plan.Session, link *netlink.Link) error {
	wrongMTU := b.MTU > 0 && link.MTU != b.MTU && ours(link)
	wrongPromisc := b.Promisc && !link.Promisc
	wrongVlans := b.Vlans && !link.Filtering
	if wrongVlans && !ours(link) {
		return fmt.Errorf("bridge %s: does not tell VLANs apart, and is not ours to change: run `ip link set %s type bridge vlan_filtering 1` or use another bridge: %w",
			b.Name, b.Name, plan.ErrConflict)
	}
	if link.Up && !wrongMTU && !wrongPromisc && !wrongVlans {
		return nil
	}
	req := nl.NewNetlinkRequest(unix.RTM_NEWLINK, 0)
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Flags, info.Change = unix.IFF_UP, unix.IFF_UP
	if b.Promisc {
		info.Flags, info.Change = info.Flags|unix.IFF_PROMISC, info.Change|unix.IFF_PROMISC
	}
	req.AddData(info)
	req.AddData(nl.NewRtAttr(unix.IFLA_IFNAME, nl.ZeroTerminated(b.Name)))
	if wrongMTU {
		req.AddData(nl.NewRtAttr(unix.IFLA_MTU, nl.Uint32Attr(uint32(b.MTU))))
	}
	if wrongVlans {
		data := nl.NewRtAttr(unix.IFLA_LINKINFO, nil)
		data.AddRtAttr(nl.IFLA_INFO_KIND, nl.NonZeroTerminated("bridge"))
		data.AddRtAttr(nl.IFLA_INFO_DATA, nil).AddRtAttr(nl.IFLA_BR_VLAN_FILTERING, flag(true))
		req.AddData(data)
	}
	s.Host.Queue(req, "bridge %s: reconcile", b.Name)
	return s.Host.Flush()
}

// ours says whether we made the bridge. Without an alias, its address tells: nobody
// else would give it that one.
func ours(link *netlink.Link) bool {
	if link.Alias == "" {
		return link.Kind == "bridge" && bytes.Equal(link.MAC, plan.HardwareAddr("bridge", machine(), link.Name))
	}
	return link.Alias == bridgeAlias || strings.HasPrefix(link.Alias, bridgeAlias+" ")
}

// machine tells this machine from others on the same segment, so that bridges of
// one name have different addresses. Without an ID, names are all there is.
func machine() string {
	id, err := file.Read("/etc/machine-id")
	if err != nil {
		id, _ = file.Read("/proc/sys/kernel/random/boot_id")
	}
	return strings.TrimSpace(string(id))
}

// Vanished says whether the bridge was there and is not any more: GC retired it.
func (b Bridge) Vanished(s *plan.Session) bool {
	known, was := s.KnownIndex(b.Name)
	if !was {
		return false
	}
	link, err := s.Host.Link(b.Name)
	return errors.Is(err, netlink.ErrNoLink) || err == nil && link.Index != known
}

// Check compares kind, flags and MTU.
func (b Bridge) Check(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "bridge "+b.Name)
	link, err := s.HostLink(b.Name)
	if errors.Is(err, netlink.ErrNoLink) {
		d.Missing("link", b.Name)
		return d.Err()
	}
	if err != nil {
		return fmt.Errorf("bridge %s: %w", b.Name, err)
	}
	d.Want("kind", "bridge", link.Kind)
	d.Want("state", "up", upText(link.Up))
	if b.MTU > 0 && ours(link) {
		d.Want("mtu", b.MTU, link.MTU)
	}
	if b.Promisc {
		d.Want("promiscuous mode", true, link.Promisc)
	}
	if b.Vlans {
		d.Want("VLAN filtering", true, link.Filtering)
	}
	return d.Err()
}

func upText(up bool) string {
	if up {
		return "up"
	}
	return "down"
}

func (b Bridge) String() string {
	mtu := ""
	if b.MTU > 0 {
		mtu = fmt.Sprintf(" mtu %d", b.MTU)
	}
	if b.Promisc {
		mtu += " promisc on"
	}
	vlans := ""
	if b.Vlans {
		vlans = " vlan_filtering 1"
	}
	return fmt.Sprintf("ip link add %s address %s%s up type bridge%s\nip link set %s alias %s",
		b.Name, plan.HardwareAddr("bridge", machine(), b.Name), mtu, vlans, b.Name, bridgeAlias)
}

// Facts are what a plan needs to know of a bridge before it is made.
type Facts struct {
	MAC net.HardwareAddr
	MTU int // bytes
}

// Facts looks the bridge up. For a missing one they are what it will have. A link of
// another kind is an ErrConflict.
func (b Bridge) Facts(s *plan.Session) (Facts, error) {
	link, err := s.Host.Link(b.Name)
	switch {
	case errors.Is(err, netlink.ErrNoLink):
		f := Facts{MAC: plan.HardwareAddr("bridge", machine(), b.Name), MTU: b.MTU}
		if f.MTU == 0 {
			f.MTU = 1500 // ETH_DATA_LEN
		}
		return f, nil
	case err != nil:
		return Facts{}, fmt.Errorf("bridge %s: %w", b.Name, err)
	}
	if err := b.usable(link); err != nil {
		return Facts{}, fmt.Errorf("bridge %s: %w", b.Name, err)
	}
	f := Facts{MAC: link.MAC, MTU: link.MTU}
	if b.MTU > 0 && ours(link) {
		f.MTU = b.MTU
	}
	return f, nil
}
