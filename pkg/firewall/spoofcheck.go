package firewall

import (
	"errors"
	"net"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
)

// FrameRules are table, sets and chains of family bridge. They are shared, and go
// with the last port that needs them (TidyRules).
type FrameRules struct {
	// Optional is success on a kernel without nf_tables for bridges. It is for a configuration that
	// has the rules by default, and does not ask for them.
	Optional bool
}

// Add queues them. The attachment's port must exist: while it does, TidyRules keeps the table.
func (f FrameRules) Add(s *plan.Session) error {
	s.Tx.Frames(f.Optional)
	return nil
}

func (FrameRules) Chains() []nft.Chain { return ruleset.Frames().Chains() }

// Check compares chains, hooks and rules.
func (f FrameRules) Check(s *plan.Session) error {
	err := s.CheckChains(f.Chains()...)
	if err == nil || !f.Optional {
		return err
	}
	if nft.Unsupported(err) {
		return nil
	}
	rules, rerr := s.Rules()
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	if has, herr := rules.HasBridge(); has || herr != nil {
		return errors.Join(err, herr)
	}
	return nil
}

func (FrameRules) String() string { return ruleset.Frames().String() }

// SpoofCheck drops frames that a container sends from another's MAC address and, with IPs, from
// another's IP address, in ARP and neighbour discovery, too. Without a MAC Add does nothing.
// SpoofCheck needs FrameRules and the Veth before it.
type SpoofCheck struct {
	Owner plan.Owner
	MAC   net.HardwareAddr
	IPs   bool         // Addrs are checked, too
	Addrs []netip.Addr // the container's
}

func (g SpoofCheck) elements() []nft.Element {
	if len(g.MAC) == 0 {
		return nil
	}
	port, comment := g.Owner.LinkName(), g.Owner.Comment(nft.CommentLimit)
	elements := []nft.Element{nft.AllowedMAC(port, g.MAC, comment)}
	if g.IPs {
		elements = append(elements, nft.OfPort(nft.ClassBound, port, g.boundChain().Name, comment))
	}
	return withMark(g.Owner, nft.MarkGuarded, elements, 0)
}

// Chains are the chain of all checked ports, and with IPs the port's own chain.
func (g SpoofCheck) Chains() []nft.Chain {
	if len(g.MAC) == 0 {
		return nil
	}
	chains := []nft.Chain{ruleset.SpoofedChain()}
	if g.IPs {
		chains = append(chains, g.boundChain())
	}
	return chains
}

func (g SpoofCheck) boundChain() nft.Chain {
	return ruleset.BoundChain(g.Owner.LinkName(), g.MAC, append([]netip.Addr{linkLocal(g.MAC)}, g.Addrs...))
}

// linkLocal is the address that the kernel gives a link with the MAC (RFC 4291,
// appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5],
	})
}

func (g SpoofCheck) own() own {
	name := "macspoofchk"
	if g.IPs {
		name = "ipspoofchk"
	}
	return own{g.Owner, name, nft.MarkGuarded, g.Chains(), g.elements()}
}

// Add queues the elements. Plan.Add flushes them before the link comes up.
func (g SpoofCheck) Add(s *plan.Session) error { return g.own().addSoon(s) }

// Check looks for the elements and the port's chain.
func (g SpoofCheck) Check(s *plan.Session) error { return g.own().check(s) }

// Del removes what belongs to the owner.
func (g SpoofCheck) Del(s *plan.Session) error { return g.own().del(s) }

func (g SpoofCheck) String() string { return g.own().String() }
