package link

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

// routeProto is the protocol of our route for ::1 (rtm_protocol), which no other route has.
const routeProto = 88

// Loopback6 lets packets from and to ::1 use the host's link towards containers, so that
// [::1]:hostPort works. Loopback6 is shared, needs the link and firewall.Rules before it, and goes
// with the link.
type Loopback6 struct {
	Link   string
	Bridge bool // the link is a bridge, for which br_netfilter needs rules
}

// Add adds the rules where the link is a bridge, and then appends a local route for ::1 to lo's.
func (l Loopback6) Add(s *plan.Session) error {
	link, err := s.Host.Link(l.Link)
	if err != nil {
		return fmt.Errorf("link %s: %w", l.Link, err)
	}
	have, err := hasLoopback6(s, link)
	if err != nil {
		return err
	}
	if l.Bridge {
		rules, err := s.Rules()
		if err != nil {
			return err
		}
		// Without the route the link is new, or was down.
		if err := ruleset.Loop6(rules, l.Link, !have); err != nil {
			return err
		}
		s.Tx.Again(func(rules *nft.Conn) error { return ruleset.Loop6(rules, l.Link, false) })
	}
	if have {
		return nil
	}
	// NLM_F_APPEND: lo has a route of the same key and metric.
	req := loopback6Route(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, link)
	s.Host.Queue(req, "link %s: add local route ::1", l.Link)
	return netlink.Ignore(s.Host.Flush(), unix.EEXIST)
}

func hasLoopback6(s *plan.Session, link *netlink.Link) (bool, error) {
	have, err := listRoutes(s.Host, netip.PrefixFrom(netip.IPv6Loopback(), 128), unix.RT_TABLE_LOCAL, link.Index)
	if err != nil {
		return false, fmt.Errorf("link %s: list routes: %w", link.Name, err)
	}
	return len(have) > 0, nil
}

func loopback6Route(kind, flags int, link *netlink.Link) *nl.NetlinkRequest {
	return netlink.Request(kind, flags, &nl.RtMsg{RtMsg: unix.RtMsg{
		Family: unix.AF_INET6, Dst_len: 128, Table: unix.RT_TABLE_LOCAL, Protocol: routeProto,
		Scope: unix.RT_SCOPE_UNIVERSE, Type: unix.RTN_LOCAL,
	}}, netlink.Bytes(unix.RTA_DST, netip.IPv6Loopback().AsSlice()), netlink.Number(unix.RTA_OIF, link.Index))
}

// dropLoopback6 deletes the local route of a link that stays.
func dropLoopback6(s *plan.Session, link *netlink.Link) error {
	s.Host.Queue(loopback6Route(unix.RTM_DELROUTE, 0, link), "link %s: delete local route ::1", link.Name)
	return netlink.Ignore(s.Host.Flush(), unix.ESRCH, unix.EOPNOTSUPP, unix.EAFNOSUPPORT) // no route, or no IPv6
}

// Chains is the chain that all bridges share. Loop6 has the bridge's own.
func (l Loopback6) Chains() []nft.Chain {
	if !l.Bridge {
		return nil
	}
	return []nft.Chain{ruleset.Loop6Chain()}
}

// Check looks for route and rules.
func (l Loopback6) Check(s *plan.Session) error {
	d := plan.Compare(plan.RouteKind, "[::1] through link "+l.Link)
	link, err := s.Host.Link(l.Link)
	if errors.Is(err, netlink.ErrNoLink) {
		return noLink(plan.RouteKind, "[::1] through link "+l.Link, l.Link, err)
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", l.Link, err)
	}
	have, err := hasLoopback6(s, link)
	if err != nil {
		return err
	}
	d.MissingIf(!have, "local route", "::1")
	if l.Bridge {
		rules, err := s.Rules()
		if err != nil {
			return err
		}
		done, err := ruleset.HasLoop6(rules, l.Link)
		if err != nil {
			return err
		}
		d.MissingIf(!done, "rules for", "br_netfilter")
	}
	return errors.Join(d.Err(), s.CheckChains(l.Chains()...))
}

func (l Loopback6) String() string {
	return when(l.Bridge, "%s\n", ruleset.Loop6Text(l.Link)) + fmt.Sprintf("ip -6 route append local ::1/128 dev %s table local proto %d", l.Link, routeProto)
}
