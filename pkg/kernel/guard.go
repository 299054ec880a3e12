package kernel

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// FrameRules are table, sets and chains of family bridge. They are shared, and go
// with the last port that needs them (TidyRules).
type FrameRules struct {
	// Optional is success on a kernel without nf_tables for bridges: the rules were
	// not asked for, they are the default.
	Optional bool
}

// Add queues them. The port is there already, so that no TidyRules takes them away.
func (f FrameRules) Add(h *Host) error {
	h.queue.Link, h.queue.LinkOptional = true, f.Optional
	return nil
}

func (FrameRules) chains() []nft.Chain { return nft.LinkChains() }

// Check compares chains, hooks and rules.
func (f FrameRules) Check(h *Host) error {
	err := checkChains(h, f.chains()...)
	if err == nil || !f.Optional {
		return err
	}
	if nft.Unsupported(err) {
		return nil
	}
	rules, rerr := h.Rules()
	if rerr != nil {
		return errors.Join(err, rerr)
	}
	if has, herr := rules.HasLink(); has || herr != nil {
		return errors.Join(err, herr)
	}
	return nil
}

// Del keeps them: they are shared.
func (FrameRules) Del(*Host) error { return nil }

func (FrameRules) String() string { return nft.LinkBase() }

// Guard drops frames that a container sends from another's MAC address and, if it is
// Bound, from another's IP address, ARP and neighbour discovery included. With no MAC
// its Add does nothing. Its rules are FrameRules.
type Guard struct {
	Owner Owner
	MAC   net.HardwareAddr
	Bound bool
	Addrs []netip.Addr // the container's
}

func (g Guard) elements() []nft.Element {
	if len(g.MAC) == 0 {
		return nil
	}
	port, comment := g.Owner.LinkName(), g.Owner.Comment(nft.CommentLimit)
	elements := []nft.Element{nft.AllowedMAC(port, g.MAC, comment)}
	if g.Bound {
		elements = append(elements, nft.Bound(port, g.boundChain().Name, comment))
	}
	return append(elements, nft.Guarded(port, markComment(g.Owner, len(elements))))
}

// chains are the one for all guarded ports, and the port's own, where it is bound to
// addresses.
func (g Guard) chains() []nft.Chain {
	if len(g.MAC) == 0 {
		return nil
	}
	chains := []nft.Chain{nft.SpoofedChain()}
	if g.Bound {
		chains = append(chains, g.boundChain())
	}
	return chains
}

func (g Guard) boundChain() nft.Chain {
	return nft.BoundChain(g.Owner.LinkName(), g.MAC, append([]netip.Addr{linkLocal(g.MAC)}, g.Addrs...))
}

// linkLocal is the address that the kernel gives a link with the MAC (RFC 4291,
// appendix A).
func linkLocal(mac net.HardwareAddr) netip.Addr {
	return netip.AddrFrom16([16]byte{
		0: 0xfe, 1: 0x80, 8: mac[0] ^ 2, 9: mac[1], 10: mac[2], 11: 0xff, 12: 0xfe, 13: mac[3], 14: mac[4], 15: mac[5],
	})
}

// Add puts the elements in place at once, before the link comes up.
func (g Guard) Add(h *Host) error {
	if len(g.MAC) == 0 {
		return nil
	}
	h.queue.Chains = append(h.queue.Chains, g.chains()...)
	h.queue.Elements = append(h.queue.Elements, g.elements()...)
	return h.Flush()
}

// Check looks for the elements and the port's chain.
func (g Guard) Check(h *Host) error {
	if len(g.MAC) == 0 {
		return nil
	}
	name := "macspoofchk"
	if g.Bound {
		name = "ipspoofchk"
	}
	return errors.Join(checkElements(h, name, g.Owner, g.elements()), checkChains(h, g.chains()...))
}

// guardSets hold what belongs to owners, beside the mark in "guarded".
func guardSets() []string { return []string{"macs", "bound"} }

// Del removes what belongs to the owner.
func (g Guard) Del(h *Host) error {
	_, err := deleteOwned(h, g.Owner, "guarded", guardSets(), g.elements())
	return err
}

func (g Guard) String() string {
	var b strings.Builder
	for _, c := range g.chains() {
		fmt.Fprintln(&b, c)
	}
	return b.String() + elementsText(g.elements())
}

// needed says which of our tables must stay although nothing is in them: that of family
// inet while packets for 127.0.0.0/8 are routed from a link, since it has the guard
// against them; that of family bridge while a port relies on its rules. An ADD that has
// made the table and not filled it yet makes it again (Host.Flush).
func (h *Host) needed() (base, link bool, err error) {
	links, err := h.rt.Links()
	if err != nil {
		return false, false, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		link = link || l.Group == nft.ContainerGroup
		// A link that goes meanwhile needs nothing.
		value, _ := h.dirs.read("net/ipv4/conf/" + l.Name + Localnet)
		base = base || value == "1"
	}
	return base, link, nil
}
