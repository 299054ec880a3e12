// Package foreign is what strangers have that concerns attachments: ports that another backend or
// the reference plugins publish (NoConflicts), what the reference left for an attachment that is
// ours by now (ReferencePorts, ReferenceMasquerade, ReferenceLink), and rules of the host's
// firewall that drop what a bridge forwards (ForwardAccept, ForwardBlocked). It deletes only what
// the reference left for attachments of ours, and inserts only the rules of "forwardAccept".
package foreign

import (
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// NoConflicts looks for ports that our other backend or the reference has published already.
// iptables says which backend is to publish the ports. Rules of iptables and of the reference come
// before ours of nftables, so that a taken port would silently go to another container. Such a port
// is an ErrConflict. Where nobody uses another backend the look is one system call.
func NoConflicts(o plan.Owner, ports []hostport.Mapping, iptables bool) plan.Step {
	return plan.Step{Name: "nobody else publishes these ports", Run: conflicts{o, ports, iptables}.look}
}

// conflicts is the ports that an attachment wants.
type conflicts struct {
	Owner    plan.Owner
	Ports    []hostport.Mapping
	IPTables bool // iptables is to publish the ports
}

func (o conflicts) look(s *plan.Session) error {
	rules, err := s.Rules()
	if err != nil {
		return netlink.Ignore(err, nft.ErrUnsupported)
	}
	if o.IPTables {
		return o.inOurTable(s, rules)
	}
	others, err := strangers.FindOthers(rules, iptables.EntryChain)
	if err != nil {
		return err
	}
	if others.Reference {
		if err := o.inReferenceTables(s, rules); err != nil {
			return err
		}
	}
	for _, f := range iptables.Families() {
		if err := o.inIPTables(s, f, others.Chain4 && !f.IPv6 || others.Chain6 && f.IPv6); err != nil {
			return err
		}
	}
	return nil
}

// inOurTable looks for elements with the same keys.
func (o conflicts) inOurTable(s *plan.Session, rules *nft.Conn) error {
	var wanted []nft.Element
	for _, p := range o.Ports {
		p.Each(func(hostPort uint16, to netip.AddrPort) {
			wanted = append(wanted, nft.HostPort(p.HostIP, p.Protocol, hostPort, to, ""))
		})
	}
	found, err := rules.FindAll(wanted)
	if err != nil {
		return err
	}
	gone := plan.Remembered(func(wanted, held nft.Element) (bool, error) { return firewall.Gone(s, wanted, held) })
	for i, held := range found {
		if held == nil || label.Same(held.Comment, o.Owner.Tag()) || label.SameContainer(held.Comment, o.Owner.Comment(nft.CommentLimit)) {
			continue
		}
		is, err := gone(wanted[i], *held)
		if err != nil {
			return err
		}
		if !is {
			return firewall.HeldBy(s, &nft.HeldError{Element: wanted[i], Holder: held.Comment})
		}
	}
	return nil
}

// inReferenceTables looks for rules of the reference, and deletes those of containers that are gone.
func (o conflicts) inReferenceTables(s *plan.Session, rules *nft.Conn) error {
	list, err := strangers.ReferencePorts(rules)
	if err != nil {
		return err
	}
	var stale []strangers.ReferenceRule
	for _, r := range list {
		for _, p := range o.Ports {
			to := p.Container.Addr()
			if r.Comment == o.Owner.ContainerID || r.Target.Is4() != to.Is4() || !r.Takes(p.HostIP, p.Protocol, p.Holds) {
				continue
			}
			gone, err := firewall.Vanished(s, r.Target, to, func(alias string) bool { return strings.Contains(alias, "/"+r.Comment+"/") })
			if err != nil {
				return err
			}
			if !gone {
				return &firewall.PortHeldError{
					Port:   "hostPort " + hostport.Text(hostport.ProtocolName(p.Protocol), netip.Addr{}, p.HostPort),
					Holder: fmt.Sprintf("container %s (by the reference plugins, table %s)", r.Comment, r.Table()),
				}
			}
			stale = append(stale, r)
			break
		}
	}
	return strangers.DeleteReference(rules, stale)
}

// inIPTables looks for rules of other backends. overNFT: iptables-nft has the chain of ports.
func (o conflicts) inIPTables(s *plan.Session, f iptables.Family, overNFT bool) error {
	p := firewall.PortRules(o.Owner, o.Ports)
	p.Gone = firewall.GoneBy(s)
	var variants []iptables.Variant
	if overNFT {
		variants = append(variants, "nft")
	}
	if f.LegacyInUse("nat") {
		found, err := f.LegacyHasChain("nat", iptables.EntryChain)
		if err != nil {
			return err
		}
		if found {
			variants = append(variants, iptables.Legacy)
		}
	}
	for _, f.Variant = range variants {
		err := netlink.Ignore(p.Free(f), iptables.ErrMissing) // nobody can ask
		if err != nil {
			return fmt.Errorf("published ports: %w", firewall.InWords(err))
		}
	}
	return nil
}
