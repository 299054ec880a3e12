package kernel

import (
	"crypto/sha512"
	"encoding/hex"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/conntrack"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// TheirPorts are ports that the reference's portmap published by nftables, before the
// node changed to us. Its rules tell the container, not the network: with Addrs only
// those that lead to one of these go, so that the container's other networks keep
// theirs. Only Del does anything.
type TheirPorts struct {
	Owner Owner
	Addrs []netip.Prefix
}

// Add does nothing.
func (TheirPorts) Add(*Host) error { return nil }

// Check does nothing: what another plugin makes is its own.
func (TheirPorts) Check(*Host) error { return nil }

// Del removes the rules, and the connections that they led to the container.
func (t TheirPorts) Del(h *Host) error {
	rules, mine, err := t.find(h)
	if err != nil || len(mine) == 0 {
		return err
	}
	errs := []error{rules.DeleteTheirs(mine)}
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
	_, err := conntrack.Forget(conntrack.Filter{
		IPv6: !target.Is4(), Server: target,
		Match: func(f conntrack.Flow) bool { return f.Dest != f.Server },
	})
	return err
}

func (t TheirPorts) find(h *Host) (*nft.Conn, []nft.TheirRule, error) {
	return theirRules(h, (*nft.Conn).TheirPorts, func(r nft.TheirRule) bool {
		return r.Comment == t.Owner.ContainerID && (len(t.Addrs) == 0 ||
			slices.ContainsFunc(t.Addrs, func(a netip.Prefix) bool { return r.Mentions(a.Addr()) }))
	})
}

func (TheirPorts) String() string { return "" }

// theirRules lists the reference's rules that pick takes.
func theirRules(h *Host, list func(*nft.Conn) ([]nft.TheirRule, error), pick func(nft.TheirRule) bool) (*nft.Conn, []nft.TheirRule, error) {
	rules, err := h.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	all, err := list(rules)
	return rules, slices.DeleteFunc(all, func(r nft.TheirRule) bool { return !pick(r) }), err
}

// TheirMasquerade is the same for the rules of the reference's bridge.
type TheirMasquerade struct{ Owner Owner }

// Add does nothing.
func (TheirMasquerade) Add(*Host) error { return nil }

// Check does nothing.
func (TheirMasquerade) Check(*Host) error { return nil }

// Del removes the rules.
func (t TheirMasquerade) Del(h *Host) error {
	rules, mine, err := t.find(h)
	if err != nil || len(mine) == 0 {
		return err
	}
	return rules.DeleteTheirs(mine)
}

func (t TheirMasquerade) find(h *Host) (*nft.Conn, []nft.TheirRule, error) {
	return theirRules(h, (*nft.Conn).TheirMasquerade, func(r nft.TheirRule) bool {
		return strings.HasPrefix(r.Comment, theirTag(t.Owner))
	})
}

func (TheirMasquerade) String() string { return "" }

// theirTag is what the reference's comments for an attachment begin with
// (hashForInstance).
func theirTag(o Owner) string {
	return theirHash(o.Network) + "-" + theirHash(o.IfName+":"+o.ContainerID)
}

func theirHash(text string) string {
	sum := sha512.Sum512([]byte(text))
	return hex.EncodeToString(sum[:])[:16]
}

// SweepTheirMasquerade removes the reference's masquerade rules of a network's
// attachments that are not valid.
func SweepTheirMasquerade(h *Host, network string, valid []Owner) error {
	rules, stale, err := theirRules(h, (*nft.Conn).TheirMasquerade, func(r nft.TheirRule) bool {
		return strings.HasPrefix(r.Comment, theirHash(network)+"-") &&
			!slices.ContainsFunc(valid, func(o Owner) bool { return strings.HasPrefix(r.Comment, theirTag(o)) })
	})
	if err != nil || len(stale) == 0 {
		return err
	}
	return rules.DeleteTheirs(stale)
}

// SweepTheirPorts removes the reference's rules for ports of containers that are not
// valid. The rules don't tell the network: only those go that lead to nobody any more.
func SweepTheirPorts(h *Host, network string, valid map[string]bool) error {
	var errs []error
	gone := make(map[string]bool) // by container
	rules, stale, err := theirRules(h, (*nft.Conn).TheirPorts, func(r nft.TheirRule) bool {
		if r.Comment == "" || valid[r.Comment] || !r.Target.IsValid() {
			return false
		}
		is, err := h.goneByName(network, r.Comment, r.Target, netip.Addr{})
		errs = append(errs, err)
		gone[r.Comment] = is
		return is
	})
	if err := errors.Join(append(errs, err)...); err != nil || len(stale) == 0 {
		return err
	}
	all, err := rules.TheirPorts() // with those that masquerade
	if err != nil {
		return err
	}
	return rules.DeleteTheirs(slices.DeleteFunc(all, func(r nft.TheirRule) bool { return !gone[r.Comment] }))
}

// MadeElsewhere names what the reference plugins made for the owner, or one of the given
// chains of iptables; "" for nothing. CHECK asks it when the plan is not there.
func MadeElsewhere(h *Host, o Owner, addrs []netip.Prefix, chains ...string) (string, error) {
	_, ports, err1 := TheirPorts{Owner: o, Addrs: addrs}.find(h)
	_, masq, err2 := TheirMasquerade{Owner: o}.find(h)
	var places []string
	for _, r := range append(ports, masq...) {
		places = append(places, "table "+r.Table())
	}
	errs := []error{err1, err2}
	for _, chain := range chains {
		families, err := h.iptablesWith(chain)
		errs = append(errs, err)
		if len(families) > 0 {
			places = append(places, "chain "+chain+" of iptables")
		}
	}
	foreign, err := Inherited{o.IfName, addrs}.found(h)
	if _, lerr := h.rt.Link(o.LinkName()); foreign && errors.Is(lerr, netlink.ErrNoLink) {
		places = append(places, "link "+o.IfName)
	}
	slices.Sort(places)
	return strings.Join(slices.Compact(places), ", "), errors.Join(append(errs, err)...)
}

// ElsewhereError explains a difference: the attachment is not ours.
func ElsewhereError(where string, drift error) error {
	return fmt.Errorf("made by another version or backend of the plugins (%s), which this one can't compare: as it was made it still works, and DEL by this one removes it; ADD the container again to have it checked: %w", where, drift)
}
