package foreign

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/conntrack"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/nft/strangers"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// ReferencePorts are ports that the reference's portmap published by nftables, before the
// node changed to us. Its rules tell the container, not the network: with Addrs only
// those that lead to one of these go, so that the container's other networks keep
// theirs.
type ReferencePorts struct {
	Owner plan.Owner
	Addrs []netip.Prefix
}

// Del removes the rules, and the connections that they led to the container.
func (t ReferencePorts) Del(s *plan.Session) error {
	rules, mine, err := t.find(s)
	if err != nil || len(mine) == 0 {
		return err
	}
	errs := []error{strangers.DeleteTheirs(rules, mine)}
	seen := make(map[netip.Addr]bool)
	for _, r := range mine {
		if r.Target.IsValid() && !seen[r.Target] {
			seen[r.Target] = true
			errs = append(errs, forgetTranslated(r.Target))
		}
	}
	return errors.Join(errs...)
}

// forgetTranslated deletes the connections that were led to a container that is gone.
func forgetTranslated(target netip.Addr) error {
	return conntrack.Forget(conntrack.Filter{
		IPv6: !target.Is4(), Server: target,
		Match: func(f conntrack.Flow) bool { return f.Dest != f.Server },
	})
}

func (t ReferencePorts) find(s *plan.Session) (*nft.Conn, []strangers.TheirRule, error) {
	return referenceRules(s, strangers.TheirPorts, func(r strangers.TheirRule) bool {
		return r.Comment == t.Owner.ContainerID && (len(t.Addrs) == 0 ||
			slices.ContainsFunc(t.Addrs, func(a netip.Prefix) bool { return r.Mentions(a.Addr()) }))
	})
}

// referenceRules lists the reference's rules that pick takes.
func referenceRules(s *plan.Session, list func(*nft.Conn) ([]strangers.TheirRule, error), pick func(strangers.TheirRule) bool) (*nft.Conn, []strangers.TheirRule, error) {
	rules, err := s.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := list(rules)
	return rules, slices.DeleteFunc(all, func(r strangers.TheirRule) bool { return !pick(r) }), err
}

// ReferenceMasquerade is the same for the rules of the reference's bridge.
type ReferenceMasquerade struct{ Owner plan.Owner }

// Del removes the rules.
func (t ReferenceMasquerade) Del(s *plan.Session) error {
	rules, mine, err := t.find(s)
	if err != nil || len(mine) == 0 {
		return err
	}
	return strangers.DeleteTheirs(rules, mine)
}

func (t ReferenceMasquerade) find(s *plan.Session) (*nft.Conn, []strangers.TheirRule, error) {
	return referenceRules(s, strangers.TheirMasquerade, func(r strangers.TheirRule) bool {
		return strings.HasPrefix(r.Comment, referenceTag(t.Owner))
	})
}

// referenceTag is what the reference's comments for an attachment begin with
// (hashForInstance).
func referenceTag(o plan.Owner) string {
	return referenceHash(o.Network) + "-" + referenceHash(o.IfName+":"+o.ContainerID)
}

func referenceHash(text string) string {
	sum := sha512.Sum512([]byte(text))
	return hex.EncodeToString(sum[:])[:16]
}

// SweepReferenceMasquerade removes the reference's masquerade rules of a network's
// attachments that are not valid.
func SweepReferenceMasquerade(s *plan.Session, network string, valid []plan.Owner) error {
	rules, stale, err := referenceRules(s, strangers.TheirMasquerade, func(r strangers.TheirRule) bool {
		return strings.HasPrefix(r.Comment, referenceHash(network)+"-") &&
			!slices.ContainsFunc(valid, func(o plan.Owner) bool { return strings.HasPrefix(r.Comment, referenceTag(o)) })
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	return strangers.DeleteTheirs(rules, stale)
}

// SweepReferencePorts removes the reference's rules for ports of containers that are not
// valid. The rules don't tell the network: only those go that lead to nobody any more.
func SweepReferencePorts(s *plan.Session, network string, valid map[string]bool) error {
	var errs []error
	gone := make(map[string]bool) // by container
	rules, stale, err := referenceRules(s, strangers.TheirPorts, func(r strangers.TheirRule) bool {
		if r.Comment == "" || valid[r.Comment] || !r.Target.IsValid() {
			return false
		}
		is, err := firewall.GoneByName(s, network, r.Comment, r.Target, netip.Addr{})
		errs = append(errs, err)
		gone[r.Comment] = is
		return is
	})
	if err := errors.Join(append(errs, err)...); err != nil || len(stale) == 0 {
		return err
	}
	all, err := strangers.TheirPorts(rules) // with those that masquerade
	if err != nil {
		return err
	}
	return strangers.DeleteTheirs(rules, slices.DeleteFunc(all, func(r strangers.TheirRule) bool { return !gone[r.Comment] }))
}

// madeBy names what the reference plugins made for the owner, or one of the given
// chains of iptables; "" for nothing. CHECK asks it when the plan is not there.
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

// Explain says of a difference that CHECK found, where it is so, that the attachment was made
// by the reference plugins or, as the given chains of iptables show, by our other backend.
func Explain(s *plan.Session, o plan.Owner, addrs []netip.Prefix, drift error, chains ...string) error {
	where, err := madeBy(s, o, addrs, chains...)
	if err != nil || where == "" {
		return drift
	}
	return fmt.Errorf("made by another version or backend of the plugins (%s), which this one can't compare: as it was made it still works, and DEL by this one removes it; ADD the container again to have it checked: %w", where, drift)
}
