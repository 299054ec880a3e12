package firewall

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Gone says whether the attachment that holds an element is gone without a DEL: the machine was
// restarted with saved rules, or a runtime forgot the attachment. That needs proof: its link is
// gone, and the link was made by bridge. Elements that only bridge makes prove that, and so does
// an address behind a bridge of which each port tells whose it is. Another plugin may have made
// the link under another name, and routes come and go: without a proof the attachment is there,
// since an error is better than a port or an address taken from somebody who uses it.
func Gone(s *plan.Session, wanted, held nft.Element) (bool, error) {
	tag := label.Tag(held.Comment)
	if !label.IsTag(tag) {
		return false, nil // a stranger's element, or a later version's
	}
	link, err := s.Host.Link(label.LinkOf(tag))
	if err == nil {
		return s.Host.Dying(link) // nobody can be in a namespace that nobody can enter
	}
	if !errors.Is(err, netlink.ErrNoLink) {
		return false, err
	}
	is := func(alias string) bool { return label.Same(alias, tag) }
	links, alive, err := living(s, is) // somebody may have renamed the link
	if err != nil || alive {
		return false, err
	}
	_, _, target, isPort := held.Forward()
	if !isPort {
		return true, nil // of masquerade and the like, which bridge makes
	}
	if ours, err := madeByBridge(s, tag); err != nil || ours {
		return ours, err
	}
	_, _, mine, _ := wanted.Forward()
	return unreached(s, links, target.Addr(), mine.Addr())
}

// living lists the host's links, and says whether one of them, with an alias that is recognises,
// leads to a container.
func living(s *plan.Session, is func(alias string) bool) (links []*netlink.Link, alive bool, err error) {
	links, err = s.Host.Links()
	if err != nil {
		return nil, false, fmt.Errorf("list links: %w", err)
	}
	for _, l := range links {
		if !is(l.Alias) {
			continue
		}
		if dying, err := s.Host.Dying(l); err != nil || !dying {
			return nil, true, err
		}
	}
	return links, false, nil
}

// madeByBridge says whether the attachment has marks of what only bridge makes.
func madeByBridge(s *plan.Session, tag string) (bool, error) {
	rules, err := s.Rules()
	if err != nil {
		return false, err
	}
	var marks []nft.Element
	for _, set := range []string{nft.MarkMasqueraded, nft.MarkGuarded, nft.MarkConfined, nft.MarkRestricted} {
		marks = append(marks, nft.Holder(set, label.LinkOf(tag), ""))
	}
	found, err := rules.FindAll(marks)
	return slices.ContainsFunc(found, func(e *nft.Element) bool { return e != nil && label.Same(e.Comment, tag) }), err
}

// GoneBy is Gone for rules whose comments have only network and container. target is where the
// rules send packets, mine the address of the container that wants the port.
func GoneBy(s *plan.Session) func(network, containerID string, target, mine netip.Addr) (bool, error) {
	return func(network, containerID string, target, mine netip.Addr) (bool, error) {
		return Vanished(s, target, mine, func(alias string) bool {
			return label.IsTag(label.Tag(alias)) && strings.Contains(alias, " "+network+"/"+containerID+"/")
		})
	}
}

// Vanished says whether nothing is left of the attachment with the address target. is recognises the
// alias of its link. mine is the address of the container that asks.
func Vanished(s *plan.Session, target, mine netip.Addr, is func(alias string) bool) (bool, error) {
	links, alive, err := living(s, is)
	if err != nil || alive {
		return false, err
	}
	return unreached(s, links, target, mine)
}

// unreached says whether no container can have the address target any more.
func unreached(s *plan.Session, links []*netlink.Link, target, mine netip.Addr) (bool, error) {
	if target == mine {
		return true, nil // the container that asks has the address now
	}
	index, gateway, err := link.RouteTo(s, target)
	if err != nil {
		return false, err
	}
	if index == 0 || gateway {
		return false, nil // a container that another plugin routes to, or for a moment does not
	}
	return onlyOurs(links, index), nil
}

// onlyOurs says whether the link is a bridge, and each port that could be a container's has our tag.
func onlyOurs(links []*netlink.Link, index int) bool {
	isBridge := false
	for _, l := range links {
		isBridge = isBridge || l.Index == index && l.Kind == "bridge"
		if l.Master == index && l.Kind == "veth" && !label.IsTag(label.Tag(l.Alias)) && !strings.HasPrefix(l.Alias, link.VlanAlias) {
			return false
		}
	}
	return isBridge
}

// HeldBy is the error for people: the port and its holder. The link's alias may have more of the
// holder than fits into an element's comment.
func HeldBy(s *plan.Session, held *nft.HeldError) error {
	holder := held.Holder
	if link, err := s.Host.Link(label.LinkOf(label.Tag(holder))); err == nil && strings.HasPrefix(link.Alias, holder) {
		holder = link.Alias
	}
	if a := held.Element.Address(); a.IsValid() {
		return &plan.AddressHeldError{Address: a.String(), Holder: label.Describe(holder)}
	}
	return &PortHeldError{Port: portName(held.Element), Holder: label.Describe(holder)}
}

// PortHeldError says that a port of the host is another attachment's. It is an
// ErrConflict.
type PortHeldError struct {
	Port   string // "hostPort 8080/tcp" or "hostPort 192.0.2.1:8080/tcp"
	Holder string // container, network, interface and pod, as far as they are known
}

func (e *PortHeldError) Error() string {
	return fmt.Sprintf("%s is held by %s: choose another port, or delete that container", e.Port, e.Holder)
}

func (e *PortHeldError) Unwrap() error { return plan.ErrConflict }

func portName(e nft.Element) string {
	proto, port, _, _ := e.Forward()
	host, _ := e.HostIP() // invalid for every address
	return "hostPort " + hostport.Text(hostport.ProtocolName(proto), host, port)
}
