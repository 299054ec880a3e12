package snapshot

import (
	"fmt"
	"net"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/vishvananda/netlink"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// linkNames maps ifindex to name. 0, which means no link, maps to "".
type linkNames map[int]string

func (n linkNames) name(index int) string {
	if name, ok := n[index]; ok || index == 0 {
		return name
	}
	return fmt.Sprintf("if%d?", index)
}

// rawLink is one RTM_NEWLINK message. The library's Link is not enough: it leaves
// out most bridge options and needs one more request for each bridge port.
type rawLink struct {
	index int
	flags uint32
	attrs map[uint16][]byte
	alts  []string
}

// volatileFlags follow the carrier, which arrives some time after the link.
const volatileFlags = unix.IFF_RUNNING | unix.IFF_LOWER_UP | unix.IFF_DORMANT

func (s Snapshot) takeLinks() (linkNames, error) {
	links, err := dump.Whole(netlink.ErrDumpInterrupted, dumpLinks)
	if err != nil {
		return nil, err
	}
	names := make(linkNames)
	for _, l := range links {
		names[l.index] = l.name()
	}
	for _, l := range links {
		s.put("link "+l.name(), l.text(names))
		if mode, err := l.addrGenMode(); err != nil {
			return nil, err
		} else if mode != nil {
			s[genModePath(l.name())] = number(mode)
		}
	}
	return names, s.takeBridgeEntries(names)
}

// genModePath is the key of a setting whose file the kernel reads and writes under RTNL alone: where
// others hold it, a reader turns round and round until it is free. The link says it, too.
func genModePath(link string) string { return "sysctl net/ipv6/conf/" + link + "/addr_gen_mode" }

func (l rawLink) addrGenMode() ([]byte, error) {
	families, err := parseAttrs(l.attrs[unix.IFLA_AF_SPEC])
	if err != nil {
		return nil, err
	}
	inet6, err := parseAttrs(families[unix.AF_INET6])
	return inet6[unix.IFLA_INET6_ADDR_GEN_MODE], err
}

// skipStats is RTEXT_FILTER_SKIP_STATS of linux/rtnetlink.h, Linux 4.4.
const skipStats = 1 << 3

func dumpLinks() ([]rawLink, error) {
	req := nl.NewNetlinkRequest(unix.RTM_GETLINK, unix.NLM_F_DUMP)
	req.AddData(nl.NewIfInfomsg(unix.AF_UNSPEC))
	req.AddData(nl.NewRtAttr(unix.IFLA_EXT_MASK, nl.Uint32Attr(skipStats)))
	msgs, err := req.Execute(unix.NETLINK_ROUTE, unix.RTM_NEWLINK)
	if err != nil {
		return nil, err
	}
	links := make([]rawLink, 0, len(msgs))
	for _, m := range msgs {
		info := nl.DeserializeIfInfomsg(m)
		l := rawLink{index: int(info.Index), flags: info.Flags}
		if l.attrs, err = parseAttrs(m[info.Len():]); err != nil {
			return nil, err
		}
		if l.alts, err = altNames(l.attrs[unix.IFLA_PROP_LIST]); err != nil {
			return nil, err
		}
		links = append(links, l)
	}
	return links, nil
}

// altNames reads a list in which every attribute has the same number.
func altNames(b []byte) ([]string, error) {
	attrs, err := nl.ParseRouteAttr(b)
	var names []string
	for _, a := range attrs {
		names = append(names, cString(a.Value))
	}
	slices.Sort(names)
	return names, err
}

func (l rawLink) name() string { return cString(l.attrs[unix.IFLA_IFNAME]) }

func (l rawLink) text(names linkNames) string {
	w := words{}
	info, _ := parseAttrs(l.attrs[unix.IFLA_LINKINFO]) // no link info: a link without a kind (lo)
	w.add("kind", cString(info[nl.IFLA_INFO_KIND]))
	w.add("mac", net.HardwareAddr(l.attrs[unix.IFLA_ADDRESS]).String())
	w.add("mtu", number(l.attrs[unix.IFLA_MTU]))
	w.add("flags", flagText(l.flags&^volatileFlags))
	w.add("master", names.name(int(asUint(l.attrs[unix.IFLA_MASTER]))))
	w.add("peer", l.peer(names))
	w.add("alias", cString(l.attrs[unix.IFLA_IFALIAS]))
	w.add("altname", strings.Join(l.alts, ","))
	w.add("qdisc", cString(l.attrs[unix.IFLA_QDISC]))
	w.add("txqlen", number(l.attrs[unix.IFLA_TXQLEN]))
	w.add("group", number(l.attrs[unix.IFLA_GROUP]))
	w.add("promiscuity", number(l.attrs[unix.IFLA_PROMISCUITY]))
	w.add("protodown", number(l.attrs[unix.IFLA_PROTO_DOWN]))
	w.add("link-mode", number(l.attrs[unix.IFLA_LINKMODE]))
	if cString(info[nl.IFLA_INFO_KIND]) == "bridge" {
		w.add("options", options(info[nl.IFLA_INFO_DATA], bridgeOptions, bridgeVolatile))
	}
	if cString(info[nl.IFLA_INFO_SLAVE_KIND]) == "bridge" {
		w.add("port", options(info[nl.IFLA_INFO_SLAVE_DATA], portOptions, portVolatile))
	}
	return w.String()
}

// peer is the other end of a veth pair where it lives in the same namespace; an
// index of another namespace says nothing.
func (l rawLink) peer(names linkNames) string {
	if _, elsewhere := l.attrs[unix.IFLA_LINK_NETNSID]; elsewhere {
		return "elsewhere"
	}
	return names.name(int(asUint(l.attrs[unix.IFLA_LINK])))
}

func flagText(f uint32) string {
	var set []string
	for i, name := range []string{
		"up", "broadcast", "debug", "loopback", "pointopoint", "", "", "noarp",
		"promisc", "allmulti", "master", "slave", "multicast",
	} {
		if name != "" && f&(1<<i) != 0 {
			set = append(set, name)
		}
	}
	return strings.Join(set, ",")
}

// takeBridgeEntries reads what hangs on bridge ports: VLANs and the forwarding
// entries that somebody set (learned ones age away).
func (s Snapshot) takeBridgeEntries(names linkNames) error {
	// A kernel without VLAN filtering answers with no VLANs.
	vlans, err := netlink.BridgeVlanList()
	if err != nil {
		return fmt.Errorf("bridge vlans: %w", err)
	}
	for index, list := range vlans {
		for _, v := range list {
			s.put(fmt.Sprintf("vlan %s %d", names.name(int(index)), v.Vid), fmt.Sprintf("flags %#x", v.Flags))
		}
	}
	fdb, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Neigh, error) { return netlink.NeighList(0, unix.AF_BRIDGE) })
	if err != nil {
		return fmt.Errorf("forwarding entries: %w", err)
	}
	for _, n := range fdb {
		// Group addresses stand here for as long as an address of the link needs them.
		group := len(n.HardwareAddr) > 0 && n.HardwareAddr[0]&1 != 0
		if n.State&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 || group {
			continue
		}
		s.put(fmt.Sprintf("fdb %s %s vlan %d", names.name(n.LinkIndex), n.HardwareAddr, n.Vlan),
			fmt.Sprintf("state %#x flags %#x master %s", n.State, n.Flags, names.name(n.MasterIndex)))
	}
	return nil
}
