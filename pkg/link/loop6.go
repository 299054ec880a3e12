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

// routeProto marks our route for ::1 among those of others (rtm_protocol).
const routeProto = 88

// Loopback6 lets packets from and to ::1 use the host's link towards containers, so
// that [::1]:hostPort works. It is shared, and goes with the link.
type Loopback6 struct {
	Link   string
	Bridge bool // then br_netfilter needs rules, too
}

// Add appends a local route for ::1 beside lo's, and where needed the rules. The
// rules come first.
func (l Loopback6) Add(s *plan.Session) error {
	link, err := s.Host.Link(l.Link)
	if err != nil {
		return fmt.Errorf("link %s: %w", l.Link, err)
	}
	have, err := listRoutes(s.Host, netip.PrefixFrom(netip.IPv6Loopback(), 128), unix.RT_TABLE_LOCAL, link.Index)
	if err != nil {
		return fmt.Errorf("link %s: list routes: %w", l.Link, err)
	}
	if l.Bridge {
		rules, err := s.Rules()
		if err != nil {
			return err
		}
		// Without the route the link is new, or was down.
		if err := ruleset.Loop6(rules, l.Link, len(have) == 0); err != nil {
			return err
		}
		s.Tx.Again(func(rules *nft.Conn) error { return ruleset.Loop6(rules, l.Link, false) })
	}
	if len(have) > 0 {
		return nil
	}
	// NLM_F_APPEND: lo has a route of the same key and metric.
	req := loopback6Route(unix.RTM_NEWROUTE, unix.NLM_F_CREATE|unix.NLM_F_APPEND, link)
	s.Host.Queue(req, "link %s: add local route ::1", l.Link)
	if err := s.Host.Flush(); err != nil && !errors.Is(err, unix.EEXIST) {
		return err
	}
	return nil
}

func loopback6Route(kind, flags int, link *netlink.Link) *nl.NetlinkRequest {
	req := nl.NewNetlinkRequest(kind, flags)
	req.AddData(&nl.RtMsg{RtMsg: unix.RtMsg{
		Family: unix.AF_INET6, Dst_len: 128, Table: unix.RT_TABLE_LOCAL, Protocol: routeProto,
		Scope: unix.RT_SCOPE_UNIVERSE, Type: unix.RTN_LOCAL,
	}})
	req.AddData(nl.NewRtAttr(unix.RTA_DST, netip.IPv6Loopback().AsSlice()))
	req.AddData(nl.NewRtAttr(unix.RTA_OIF, nl.Uint32Attr(uint32(link.Index))))
	return req
}

// dropLoopback6 deletes the local route of a link that stays.
func dropLoopback6(s *plan.Session, link *netlink.Link) error {
	s.Host.Queue(loopback6Route(unix.RTM_DELROUTE, 0, link), "link %s: delete local route ::1", link.Name)
	err := s.Host.Flush()
	if errors.Is(err, unix.ESRCH) || errors.Is(err, unix.EOPNOTSUPP) || errors.Is(err, unix.EAFNOSUPPORT) {
		return nil // there is none, or no IPv6
	}
	return err
}

// Chains is the one that all bridges share; Loop6 knows the bridge's own.
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
		d.Missing("link", l.Link)
		return d.Err()
	}
	if err != nil {
		return fmt.Errorf("link %s: %w", l.Link, err)
	}
	have, err := listRoutes(s.Host, netip.PrefixFrom(netip.IPv6Loopback(), 128), unix.RT_TABLE_LOCAL, link.Index)
	if err != nil {
		return fmt.Errorf("link %s: list routes: %w", l.Link, err)
	}
	if len(have) == 0 {
		d.Missing("local route", "::1")
	}
	if l.Bridge {
		rules, err := s.Rules()
		if err != nil {
			return err
		}
		done, err := ruleset.HasLoop6(rules, l.Link)
		if err != nil {
			return err
		}
		if !done {
			d.Missing("rules for", "br_netfilter")
		}
	}
	return errors.Join(d.Err(), s.CheckChains(l.Chains()...))
}

func (l Loopback6) String() string {
	route := fmt.Sprintf("ip -6 route append local ::1/128 dev %s table local proto %d", l.Link, routeProto)
	if l.Bridge {
		return ruleset.Loop6Text(l.Link) + "\n" + route
	}
	return route
}
