package firewall

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// HandOver gives ports of an attachment that goes to the container's attachments on other networks,
// which publish them, too: the first of the heirs that lives gets the port, in the transaction that
// takes it from the owner with the tag. The gate of a port goes with it. The elements are as the
// kernel has them; those without heirs are left alone.
func HandOver(s *plan.Session, tag string, elements []nft.Element) error {
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	change := nft.Change{Gone: func(_, held nft.Element) (bool, error) { return label.Same(held.Comment, tag), nil }}
	for _, e := range elements {
		if !label.Same(e.Comment, tag) {
			continue
		}
		names, _ := label.Parse(e.Comment)
		for _, heir := range names.Heirs() {
			next, found, err := inherit(s, rules, e, heir)
			if err != nil {
				return err
			}
			if found {
				change.Elements = append(change.Elements, next...)
				break
			}
		}
	}
	if len(change.Elements) == 0 {
		return nil
	}
	var held *nft.HeldError
	if err := rules.Add(change); !errors.As(err, &held) { // else the port has a new owner already
		return err
	}
	return nil
}

// inherit is the port, and its gate, for the heir; false where the heir is gone.
func inherit(s *plan.Session, rules *nft.Conn, e nft.Element, heir string) ([]nft.Element, bool, error) {
	proto, number, to, ok := e.Forward()
	link, err := s.Host.Link(label.LinkOf(heir))
	if !ok || errors.Is(err, netlink.ErrNoLink) {
		return nil, false, nil
	}
	if err != nil {
		return nil, false, err
	}
	addr, found, err := sameFamily(s, link, to.Addr())
	if errors.Is(err, netlink.ErrNoLink) { // the container has ended, and the kernel is still at it
		return nil, false, nil
	}
	if err != nil || !found || !label.Same(link.Alias, heir) {
		return nil, false, err
	}
	hostIP, _ := e.HostIP()
	port := nft.HostPort(hostIP, proto, number, netip.AddrPortFrom(addr, to.Port()), label.Inherited(e.Comment, link.Alias, nft.CommentLimit))
	list := []nft.Element{port}
	if gate, ok := nft.AtGate(port, ""); ok {
		have, gated, err := rules.Find(gate)
		if err != nil {
			return nil, false, err
		}
		if gate.Chain = have.Chain; gated {
			list = append(list, gate)
		}
	}
	return list, true, nil
}

// sameFamily finds an address of the container's end, of the family that a has.
func sameFamily(s *plan.Session, link *netlink.Link, a netip.Addr) (netip.Addr, bool, error) {
	prefixes, err := s.Host.PeerAddresses(link)
	for _, p := range prefixes {
		if p.Addr().Is4() == a.Is4() && p.Addr().IsGlobalUnicast() {
			return p.Addr(), true, err
		}
	}
	return netip.Addr{}, false, err
}

// present are the elements that were found.
func present(found []*nft.Element) (list []nft.Element) {
	for _, e := range found {
		if e != nil {
			list = append(list, *e)
		}
	}
	return list
}
