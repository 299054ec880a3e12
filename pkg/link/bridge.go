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
	"cmp"
	"errors"
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	vishvananda "github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// bridgeAlias begins the alias of each bridge that we made. A bridge of a stranger is used. It
// is changed only where the configuration asks for a change, and never deleted.
const bridgeAlias = "bridgeport"

// Bridge is the bridge that attachments of a network plug into. It is shared.
type Bridge struct {
	Name string
	MTU  int // bytes; 0 leaves an existing bridge's and the kernel's default
	// Promisc makes the bridge itself see all frames. Without Promisc the bridge stays as it is:
	// somebody may be looking at the traffic.
	Promisc bool
	Vlans   bool // the bridge tells VLANs apart; without Vlans the bridge stays as it is
	// Gateway says that containers remember the bridge's MAC address. A bridge of somebody
	// else then keeps the address that it has, which otherwise changes with its ports
	// (br_stp_recalculate_bridge_id). The address of an empty bridge may be all zeros.
	Gateway bool
}

// Add makes the bridge with a MAC address of its own, which does not change when ports come and go
// (br_stp_recalculate_bridge_id), and which udev leaves alone (addr_assign_type NET_ADDR_SET).
func (b Bridge) Add(s *plan.Session) error {
	link, err := s.HostLink(b.Name)
	if errors.Is(err, netlink.ErrNoLink) {
		// The lock covers the look, too: GC may retire the bridge right after its creation.
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

func kindText(kind string) string { return "a " + cmp.Or(kind, "device") }

// create makes the bridge unless somebody was faster, and then gives it our alias. After a
// crash between the two, ours knows the bridge by its MAC address.
func (b Bridge) create(s *plan.Session) error {
	// The bridge stays down: a link that comes up looks for duplicates of its link-local
	// address for a second, in which it answers no neighbour solicitation.
	var filtering *nl.RtAttr
	if b.Vlans {
		filtering = netlink.Flag(nl.IFLA_BR_VLAN_FILTERING, true)
	}
	req := netlink.LinkRequest(unix.RTM_NEWLINK, unix.NLM_F_CREATE|unix.NLM_F_EXCL, b.Name, false,
		netlink.Bytes(unix.IFLA_ADDRESS, bridgeMAC(b.Name)), netlink.Number(unix.IFLA_MTU, b.MTU),
		netlink.Number(unix.IFLA_GROUP, b.group()), netlink.LinkInfo("bridge", filtering))
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
	dad := Sysctl{Key: "net/ipv6/conf/" + b.Name + "/accept_dad", Value: "0", Optional: true, Cosmetic: true}
	return errors.Join(setAlias(s, b.Name, bridgeAlias), dad.Add(s), b.loose(s))
}

// group is the link group of a bridge of ours, by which rules know gateways; 0 is the kernel's default.
func (b Bridge) group() (group uint32) {
	if b.Gateway {
		group = ruleset.GatewayGroup
	}
	return group
}

// loose lets packets in whose sender the host would answer by another of its links, where the host is
// strict about that (rp_filter 1; the larger value of "all" and the link counts, fib_validate_source). A
// container on two networks sends by either. Addresses without any route stay out.
func (b Bridge) loose(s *plan.Session) error {
	for _, name := range []string{"all", b.Name} {
		if have, err := s.Sysctls.Read("net/ipv4/conf/" + name + "/rp_filter"); err != nil || have == "1" {
			return cmp.Or(err, Sysctl{Key: "net/ipv4/conf/" + b.Name + "/rp_filter", Value: "2", Cosmetic: true}.Add(s))
		}
	}
	return nil
}

// bridgeMAC is the MAC address of a bridge of ours.
func bridgeMAC(name string) net.HardwareAddr { return plan.HardwareAddr("bridge", machine(), name) }

// reconcile brings an existing bridge up and, where the configuration asks for that, into
// promiscuous mode. A bridge of ours gets the configured MTU and its group.
func (b Bridge) reconcile(s *plan.Session, link *netlink.Link) error {
	wrongMTU := b.MTU > 0 && link.MTU != b.MTU && ours(link)
	wrongPromisc := b.Promisc && !link.Promisc
	wrongGroup := b.Gateway && link.Group != b.group() && ours(link)
	wrongVlans := b.Vlans && !link.Filtering
	if wrongVlans && !ours(link) {
		return fmt.Errorf("bridge %s: does not tell VLANs apart, and is not ours to change: run `ip link set %s type bridge vlan_filtering 1` or use another bridge: %w",
			b.Name, b.Name, plan.ErrConflict)
	}
	pin := b.pin(link)
	if link.Up && !wrongMTU && !wrongPromisc && !wrongGroup && !wrongVlans && pin == nil {
		return nil
	}
	if err := b.local(s, link, pin); err != nil {
		return err
	}
	info := nl.NewIfInfomsg(unix.AF_UNSPEC)
	info.Flags, info.Change = unix.IFF_UP, unix.IFF_UP
	if b.Promisc {
		info.Flags, info.Change = info.Flags|unix.IFF_PROMISC, info.Change|unix.IFF_PROMISC
	}
	req := netlink.Request(unix.RTM_NEWLINK, 0, info,
		netlink.Bytes(unix.IFLA_IFNAME, nl.ZeroTerminated(b.Name)), netlink.Bytes(unix.IFLA_ADDRESS, pin))
	if wrongMTU {
		req.AddData(netlink.Number(unix.IFLA_MTU, b.MTU))
	}
	if wrongGroup {
		req.AddData(netlink.Number(unix.IFLA_GROUP, b.group()))
	}
	if wrongVlans {
		req.AddData(netlink.LinkInfo("bridge", netlink.Flag(nl.IFLA_BR_VLAN_FILTERING, true)))
	}
	s.Host.Queue(req, "bridge %s: reconcile", b.Name)
	return s.Host.Flush()
}

// pin is the MAC address that the bridge is to keep; nil where it keeps one already. The
// kernel keeps an address that somebody has set (NET_ADDR_SET), which sysfs shows.
func (b Bridge) pin(link *netlink.Link) net.HardwareAddr {
	if !b.Gateway || ours(link) {
		return nil
	}
	const set = "3" // NET_ADDR_SET
	if kind, err := file.Read("/sys/class/net/" + b.Name + "/addr_assign_type"); err == nil && strings.TrimSpace(string(kind)) == set {
		return nil
	}
	return b.address(link)
}

// local makes the entry by which the bridge takes frames for the address that it is to keep. The kernel
// makes it when a bridge's address changes. Linux 5.10 does not where the address that the bridge has
// already is set: the first port would then leave it alone, and no container would reach its gateway.
func (b Bridge) local(s *plan.Session, link *netlink.Link, pin net.HardwareAddr) error {
	if pin == nil {
		return nil
	}
	s.Host.Queue(netlink.Request(unix.RTM_NEWNEIGH, unix.NLM_F_CREATE|unix.NLM_F_EXCL, &vishvananda.Ndmsg{
		Family: unix.AF_BRIDGE, Index: uint32(link.Index), State: unix.NUD_PERMANENT, Flags: unix.NTF_SELF,
	}, netlink.Bytes(unix.NDA_LLADDR, pin)), "fdb %s dev %s: add", pin, b.Name)
	return netlink.Ignore(s.Host.Flush(), unix.EEXIST)
}

// address is the MAC address that the bridge has after Add.
func (b Bridge) address(link *netlink.Link) net.HardwareAddr {
	if b.Gateway && !slices.ContainsFunc(link.MAC, func(b byte) bool { return b != 0 }) {
		return bridgeMAC(b.Name)
	}
	return link.MAC
}

// ours says whether we made the bridge. A bridge without an alias is ours if it has the MAC
// address that we would give it: nobody else would choose that address.
func ours(link *netlink.Link) bool {
	if link.Alias == "" {
		return link.Kind == "bridge" && bytes.Equal(link.MAC, bridgeMAC(link.Name))
	}
	return link.Alias == bridgeAlias || strings.HasPrefix(link.Alias, bridgeAlias+" ")
}

// machine is the ID of this machine: bridges of one name on two machines need two MAC addresses.
func machine() string {
	id, err := file.Read("/etc/machine-id")
	if err != nil {
		id, _ = file.Read("/proc/sys/kernel/random/boot_id")
	}
	return strings.TrimSpace(string(id))
}

// Vanished says whether GC has retired the bridge since this session saw it.
func (b Bridge) Vanished(s *plan.Session) bool {
	return s.Vanished(b.Name)
}

// Check compares kind, flags, MTU and group.
func (b Bridge) Check(s *plan.Session) error {
	d := plan.Compare(plan.LinkKind, "bridge "+b.Name)
	link, err := s.HostLink(b.Name)
	if err != nil {
		return noLink(plan.LinkKind, "bridge "+b.Name, b.Name, err)
	}
	d.Want("kind", "bridge", link.Kind)
	d.WantIf(!link.Up, "state", "up", "down")
	d.WantIf(b.MTU > 0 && ours(link), "mtu", b.MTU, link.MTU)
	d.WantIf(b.Gateway && ours(link), "group", b.group(), link.Group)
	d.WantIf(b.Promisc, "promiscuous mode", true, link.Promisc)
	d.WantIf(b.Vlans, "VLAN filtering", true, link.Filtering)
	return d.Err()
}

// noLink is the error of a Check that can't read a link: a Drift where the link is missing.
func noLink(kind plan.Kind, object, name string, err error) error {
	if !errors.Is(err, netlink.ErrNoLink) {
		return fmt.Errorf("%s: %w", object, err)
	}
	return plan.Compare(kind, object).Missing("link", name).Err()
}

// when is the text if the condition holds, else nothing. args are the text's, as in Sprintf.
func when(is bool, format string, args ...any) string {
	if !is {
		return ""
	}
	return fmt.Sprintf(format, args...)
}

func (b Bridge) String() string {
	return fmt.Sprintf("ip link add %s address %s%s%s%s up type bridge%s\nip link set %s alias %s",
		b.Name, bridgeMAC(b.Name), when(b.MTU > 0, " mtu %d", b.MTU), when(b.Gateway, " group %d", b.group()), when(b.Promisc, " promisc on"),
		when(b.Vlans, " vlan_filtering 1"), b.Name, bridgeAlias)
}

// Facts are what a plan needs to know of a bridge before it is made.
type Facts struct {
	Name    string // by which the kernel has its settings; a configuration may use an altname
	MAC     net.HardwareAddr
	MTU     int  // bytes
	Foreign bool // somebody else made the bridge
}

// Facts reads the bridge, or says what Add will make. A link of another kind is an ErrConflict.
func (b Bridge) Facts(s *plan.Session) (Facts, error) {
	link, err := s.HostLink(b.Name)
	if errors.Is(err, netlink.ErrNoLink) {
		return Facts{Name: b.Name, MAC: bridgeMAC(b.Name), MTU: cmp.Or(b.MTU, 1500)}, nil // ETH_DATA_LEN
	}
	if err == nil {
		err = b.usable(link)
	}
	if err != nil {
		return Facts{}, fmt.Errorf("bridge %s: %w", b.Name, err)
	}
	f := Facts{Name: link.Name, MAC: b.address(link), MTU: link.MTU, Foreign: !ours(link)}
	if b.MTU > 0 && ours(link) {
		f.MTU = b.MTU
	}
	return f, nil
}

// RealName is the name of the link that name, or an altname, leads to; name itself without a link.
func RealName(s *plan.Session, name string) string {
	if link, err := s.Host.Link(name); err == nil {
		return link.Name
	}
	return name
}
