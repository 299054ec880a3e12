package mend

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/install"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// Leaving is the way from our plugins to the reference's, or to none.
type Leaving struct {
	Place node.Place
	Look  func() (*node.Node, []*attachment.Attachment, error)
	Dry   bool // change nothing
	Force bool // also where living attachments lose published ports and masquerade
}

// Left is what Leave did, or would do.
type Left struct {
	Plugins    []install.Changed `json:"plugins,omitempty"`
	HandedOver []Mended          `json:"handedOver,omitempty"` // living attachments, with the rules that they got
	Dead       []Removal         `json:"dead,omitempty"`
	Removed    []string          `json:"removed,omitempty"` // tables, bridges, indexes
	Kept       []string          `json:"kept,omitempty"`    // what stays, and why
}

// callTime is how long a runtime's call of a plugin may take: kubelet waits no longer.
const callTime = 2 * time.Minute

// Leave puts the reference's plugins back, or removes ours where there was none, gives living attachments
// the reference's own rules, so that its DEL removes them, and removes all other things of ours. Before it
// changes anything it makes sure that nobody loses the network.
func (l Leaving) Leave() (*Left, error) {
	left := new(Left)
	n, list, err := l.Look()
	if err == nil {
		err = n.NoRules
	}
	if err != nil {
		return nil, err
	}
	living := ours(list)
	if left.HandedOver, err = l.handOver(living, true); err != nil {
		return nil, err
	}
	if l.Dry {
		return left, l.rest(n, list, left)
	}
	if left.Plugins, err = install.Reference(l.Place.Bin); errors.Is(err, install.ErrNothingKept) {
		err = nil // our plugins stay until the end: who calls them meanwhile gets a network
	} else if err == nil {
		err = install.Idle(l.Place.Bin, callTime)
	}
	if err == nil {
		n, list, err = l.settled()
	}
	if err == nil {
		living = ours(list)
		left.HandedOver, err = l.handOver(living, false)
	}
	if err != nil {
		if left.Plugins != nil {
			_, back := install.Rollback(l.Place.Bin)
			err = errors.Join(err, back)
		}
		return left, err
	}
	return left, errors.Join(l.rest(n, list, left), l.gone(living))
}

// ours are the living attachments of ours.
func ours(list []*attachment.Attachment) []*attachment.Attachment {
	return slices.DeleteFunc(slices.Clone(list), func(a *attachment.Attachment) bool {
		return a.State != attachment.OK && a.State != attachment.Drift
	})
}

// settled is a look in which libcni's cache knows each living attachment: libcni writes an entry after the
// last plugin of the list.
func (l Leaving) settled() (n *node.Node, list []*attachment.Attachment, err error) {
	// The other plugins of a list take no longer; nothing tells when an entry is written.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(attachment.Pause) {
		n, list, err = l.Look()
		unknown := slices.ContainsFunc(ours(list), func(a *attachment.Attachment) bool { return a.Cached == nil })
		if err != nil || !unknown || time.Now().After(end) {
			return n, list, err
		}
	}
}

// handOver gives the attachments the rules that the reference would have made. With dry it only says
// whether that is possible.
func (l Leaving) handOver(living []*attachment.Attachment, dry bool) (out []Mended, err error) {
	if len(living) == 0 {
		return nil, nil
	}
	err = l.heir()
	for i := 0; i < len(living) && err == nil; i++ {
		m := mendOne(living[i].ByIPTables(), dry)
		if m.Error != "" && !l.Force {
			err = plan.With(nil, func(s *plan.Session) error {
				if vanished(s, living[i]) {
					return nil
				}
				return fmt.Errorf("%s: can't be handed over: %s", m.Name, m.Error)
			})
		}
		out = append(out, m)
	}
	if err != nil && !l.Force {
		return nil, fmt.Errorf("%d living attachments: %w: nothing was removed; delete the containers first, or --force, and they lose published ports and masquerade", len(living), err)
	}
	return out, nil
}

// heir is nil where the reference's plugins can take over, else why they can't.
func (l Leaving) heir() error {
	if !install.HasReference(l.Place.Bin) {
		return fmt.Errorf("%s: no plugins of the reference are kept there to take over", l.Place.Bin)
	}
	if err := (iptables.Family{}).Available(); err != nil {
		return fmt.Errorf("the reference's rules need it: %w", err)
	}
	return nil
}

// vanished says whether the attachment's link has gone since it was seen.
func vanished(s *plan.Session, a *attachment.Attachment) bool {
	return a.Link != "" && !link.Exists(s, a.Link)
}

// gone removes the rules again of attachments that were deleted while they were handed over: the
// reference's DEL may have come before the rules.
func (l Leaving) gone(living []*attachment.Attachment) error {
	if len(living) == 0 {
		return nil
	}
	time.Sleep(2 * attachment.Pause) // a DEL that has removed the rules removes the link in this time
	return plan.With(nil, func(s *plan.Session) error {
		var errs []error
		for _, a := range living {
			if vanished(s, a) {
				errs = append(errs, dropIPTables(s, a))
			}
		}
		return errors.Join(errs...)
	})
}

// rest removes what dead attachments left, our tables, bridges without ports and indexes of leases.
func (l Leaving) rest(n *node.Node, list []*attachment.Attachment, left *Left) error {
	left.Dead = Dead(n, list, 5*time.Minute)
	var errs []error
	if !l.Dry {
		errs = append(errs, Remove(left.Dead, func(int, int) {}))
	}
	errs = append(errs, plan.With(nil, func(s *plan.Session) error {
		tables, err := dropRules(s, l.Dry)
		left.Removed = append(left.Removed, tables...)
		for _, b := range n.Links {
			if b.Kind == "bridge" && b.Ours() {
				err = errors.Join(err, l.retire(s, n, &b, left))
			}
		}
		return err
	}))
	for _, dir := range n.DataDirs() {
		found, err := lease.DropIndex(dir, l.Dry)
		if found != "" {
			left.Removed = append(left.Removed, found)
		}
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}

// retire deletes a bridge without ports, and with the last one takes the host's settings back.
func (l Leaving) retire(s *plan.Session, n *node.Node, b *node.Link, left *Left) error {
	if ports := n.Ports(b); len(ports) > 0 {
		left.Kept = append(left.Kept, fmt.Sprintf("bridge %s: %d ports are plugged in; so are the settings that they need", b.Name, len(ports)))
		return nil
	}
	left.Removed = append(left.Removed, "bridge "+b.Name)
	if l.Dry {
		return nil
	}
	return link.Retire(s, b.Name, func() error { return nil })
}

// dropRules deletes our tables with all that is in them, and the guard of the compatible backend, which
// the reference does not have.
func dropRules(s *plan.Session, dry bool) (names []string, err error) {
	rules, err := s.Rules()
	if err != nil {
		return nil, netlink.Ignore(err, nft.ErrUnsupported)
	}
	names, err = rules.DropTables(dry)
	if err != nil || dry {
		return names, err
	}
	families, err := firewall.FamiliesGuarding(s)
	for _, f := range families {
		err = errors.Join(err, plan.Locked(f.DropGuard))
	}
	return names, err
}
