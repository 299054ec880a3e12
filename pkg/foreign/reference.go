package foreign

import (
	"crypto/sha512"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/conntrack"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"golang.org/x/sys/unix"
)

// ReferencePorts are ports that the reference's portmap published by nftables, before the node
// changed to us. Its rules have the container, not the network. With Addrs Del removes only those
// that send packets there: the container's other networks keep theirs.
type ReferencePorts struct {
	Owner plan.Owner
	Addrs []netip.Prefix
}

// Del removes the rules, and the tracked connections to their targets.
func (t ReferencePorts) Del(s *plan.Session) error {
	rules, mine, err := t.find(s)
	errs := []error{err, strangers.DeleteReference(rules, mine)}
	seen := make(map[netip.Addr]bool)
	for _, r := range mine {
		if to := r.Target; to.IsValid() && !seen[to] {
			seen[to] = true
			errs = append(errs, firewall.Forget(s, conntrack.Filter{
				IPv6: !to.Is4(), Server: netip.AddrPortFrom(to, 0),
				Match: func(f conntrack.Flow) bool { return f.Dest != f.Server },
			}))
		}
	}
	return errors.Join(errs...)
}

func (t ReferencePorts) find(s *plan.Session) (*nft.Conn, []strangers.ReferenceRule, error) {
	return referenceRules(s, strangers.ReferencePorts, func(r strangers.ReferenceRule) bool {
		return r.Comment == t.Owner.ContainerID && (len(t.Addrs) == 0 ||
			slices.ContainsFunc(t.Addrs, func(a netip.Prefix) bool { return r.Mentions(a.Addr()) }))
	})
}

// referenceRules lists the reference's rules for which pick returns true.
func referenceRules(s *plan.Session, list func(*nft.Conn) ([]strangers.ReferenceRule, error), pick func(strangers.ReferenceRule) bool) (*nft.Conn, []strangers.ReferenceRule, error) {
	rules, err := s.Rules()
	if err != nil {
		return nil, nil, netlink.Ignore(err, nft.ErrUnsupported)
	}
	all, err := list(rules)
	return rules, slices.DeleteFunc(all, func(r strangers.ReferenceRule) bool { return !pick(r) }), err
}

// ReferenceMasquerade is the masquerade rules of the reference's bridge.
type ReferenceMasquerade struct{ Owner plan.Owner }

// Del removes the rules.
func (t ReferenceMasquerade) Del(s *plan.Session) error {
	rules, mine, err := t.find(s)
	return errors.Join(err, strangers.DeleteReference(rules, mine))
}

func (t ReferenceMasquerade) find(s *plan.Session) (*nft.Conn, []strangers.ReferenceRule, error) {
	return referenceRules(s, strangers.ReferenceMasquerade, func(r strangers.ReferenceRule) bool {
		return strings.HasPrefix(r.Comment, referenceTag(t.Owner))
	})
}

// referenceTag begins the reference's comments for an attachment (hashForInstance).
func referenceTag(o plan.Owner) string {
	return referenceHash(o.Network) + "-" + referenceHash(o.IfName+":"+o.ContainerID)
}

func referenceHash(text string) string {
	return fmt.Sprintf("%x", sha512.Sum512([]byte(text)))[:16]
}

// SweepReferenceMasquerade removes the rules of a network's attachments that are not valid.
func SweepReferenceMasquerade(s *plan.Session, network string, valid []plan.Owner) error {
	rules, stale, err := referenceRules(s, strangers.ReferenceMasquerade, func(r strangers.ReferenceRule) bool {
		return strings.HasPrefix(r.Comment, referenceHash(network)+"-") &&
			!slices.ContainsFunc(valid, func(o plan.Owner) bool { return strings.HasPrefix(r.Comment, referenceTag(o)) })
	})
	return errors.Join(err, strangers.DeleteReference(rules, stale))
}

// SweepReferencePorts removes the reference's rules for ports of containers that are not valid. The
// rules don't have the network: only rules whose target is gone are removed.
func SweepReferencePorts(s *plan.Session, network string, valid map[string]bool) error {
	var errs []error
	gone := make(map[string]bool) // by container
	rules, stale, err := referenceRules(s, strangers.ReferencePorts, func(r strangers.ReferenceRule) bool {
		if r.Comment == "" || valid[r.Comment] || !r.Target.IsValid() {
			return false
		}
		is, err := firewall.GoneBy(s)(network, r.Comment, r.Target, netip.Addr{})
		errs = append(errs, err)
		gone[r.Comment] = is
		return is
	})
	if err := errors.Join(append(errs, err)...); err != nil || len(stale) == 0 {
		return err
	}
	all, err := strangers.ReferencePorts(rules) // the rules that masquerade, too
	if err != nil {
		return err
	}
	return strangers.DeleteReference(rules, slices.DeleteFunc(all, func(r strangers.ReferenceRule) bool { return !gone[r.Comment] }))
}

// madeBy lists, for people, what the reference plugins made for the owner, and those of the given
// chains of iptables that exist; "" for nothing.
func madeBy(s *plan.Session, o plan.Owner, addrs []netip.Prefix, chains ...string) (string, error) {
	_, ports, err1 := ReferencePorts{Owner: o, Addrs: addrs}.find(s)
	_, masq, err2 := ReferenceMasquerade{Owner: o}.find(s)
	var places []string
	for _, r := range append(ports, masq...) {
		places = append(places, "table "+r.Table())
	}
	errs := []error{err1, err2}
	for _, chain := range chains {
		families, err := firewall.FamiliesWith(s, chain)
		errs = append(errs, err)
		if len(families) > 0 {
			places = append(places, "chain "+chain+" of iptables")
		}
	}
	foreign, err := ReferenceLink{IfName: o.IfName, Addrs: addrs}.found(s)
	if _, lerr := s.Host.Link(o.LinkName()); foreign && errors.Is(lerr, netlink.ErrNoLink) {
		places = append(places, "link "+o.IfName)
	}
	slices.Sort(places)
	return strings.Join(slices.Compact(places), ", "), errors.Join(append(errs, err)...)
}

// Explain adds to a difference that CHECK found that another plugin or backend made the attachment:
// the reference plugins, or our other backend, which has the given chains of iptables.
func Explain(s *plan.Session, o plan.Owner, addrs []netip.Prefix, drift error, chains ...string) error {
	where, err := madeBy(s, o, addrs, chains...)
	if err != nil || where == "" {
		return drift
	}
	return fmt.Errorf("made by another version or backend of the plugins (%s), which this one can't compare: as it was made it still works, and DEL by this one removes it; ADD the container again to have it checked: %w", where, drift)
}

// ReferenceLink is a container's link that another plugin made for the attachment: the reference,
// before the node changed to us. Or it is our own, whose other end was renamed.
type ReferenceLink struct {
	IfName string
	Tag    string         // the attachment's; "" where a link of ours is none
	Addrs  []netip.Prefix // the attachment's, by its lease or its result
}

// Del removes a veth of the name with one of the attachment's addresses. Others are strangers'.
func (i ReferenceLink) Del(s *plan.Session) error {
	if found, err := i.found(s); err != nil || !found {
		return err
	}
	return s.Container.DeleteLink(i.IfName)
}

func (i ReferenceLink) found(s *plan.Session) (bool, error) {
	if s.Container == nil {
		return false, nil // the namespace is gone, and its links with it
	}
	link, err := s.Container.Link(i.IfName)
	if errors.Is(err, netlink.ErrNoLink) {
		return false, nil
	}
	if err != nil {
		return false, fmt.Errorf("container link %s: %w", i.IfName, err)
	}
	have, err := s.Container.Addresses(link.Index)
	if err != nil {
		return false, fmt.Errorf("container link %s: list addresses: %w", i.IfName, err)
	}
	if link.Kind != "veth" || !slices.ContainsFunc(have, i.has) {
		return false, nil
	}
	// A link of ours is deleted by its own attachment's DEL only: the name, the namespace's path and
	// the address may be another container's by now.
	end, err := s.Host.LinkByIndex(link.Peer)
	if errors.Is(err, unix.ENODEV) { // it is in another namespace
		return true, nil
	}
	if err != nil {
		return false, fmt.Errorf("container link %s: other end: %w", i.IfName, err)
	}
	tag := label.Tag(end.Alias)
	return !label.IsTag(tag) || tag == i.Tag, nil
}

func (i ReferenceLink) has(p netip.Prefix) bool {
	return slices.ContainsFunc(i.Addrs, func(a netip.Prefix) bool { return a.Addr() == p.Addr() })
}

// SweepIPTables removes the rules of a network's containers that are not valid, of our compatible
// backend and of the reference plugins, and the shared chains with the last. These rules have the
// container, not the interface. It executes nothing where iptables is not used. Missing programs
// are an error only if there is something to remove (table nat may be kube-proxy's).
func SweepIPTables(s *plan.Session, network string, valid map[string]bool) error {
	var errs []error
	families, err := firewall.FamiliesWith(s, "")
	errs = append(errs, err)
	for _, f := range families {
		err := sweepFamily(s, f, network, valid)
		if errors.Is(err, iptables.ErrMissing) {
			err = onlyIfOurs(s, f, err)
		}
		errs = append(errs, err)
	}
	// An ADD that was killed early has left nothing but the guard.
	guarding, err := firewall.FamiliesGuarding(s)
	errs = append(errs, err)
	for _, f := range guarding {
		if !slices.Contains(families, f) {
			errs = append(errs, plan.Locked(f.Tidy))
		}
	}
	return errors.Join(errs...)
}

// onlyIfOurs is nil without chains of ours or the reference. Legacy tables need their programs.
func onlyIfOurs(s *plan.Session, f iptables.Family, missing error) error {
	rules, err := s.Rules()
	if err != nil || f.Variant != "nft" {
		return nil
	}
	has, err := strangers.HasChains(rules, f.IPv6, iptables.ChainPrefix)
	if err == nil && has {
		return missing
	}
	return err
}

func sweepFamily(s *plan.Session, f iptables.Family, network string, valid map[string]bool) error {
	ids, err := f.Containers(network)
	if err != nil {
		return fmt.Errorf("iptables: %w", err)
	}
	var errs []error
	for _, id := range ids {
		if !valid[id] {
			gone, err := iptables.Ports{Network: network, ContainerID: id}.Del(f)
			errs = append(errs, err, firewall.ForgetRules(s, gone),
				iptables.Masquerade{Network: network, ContainerID: id}.Del(f))
		}
	}
	// An ADD that has seen the shared chains relies on them.
	return errors.Join(append(errs, plan.Locked(f.Tidy))...)
}
