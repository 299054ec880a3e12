// Package mend removes what is dead and puts back what is missing.
package mend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// Removal is one dead attachment, or one file that is no lease.
type Removal struct {
	Name    string   `json:"name"`
	Why     string   `json:"why"`
	Items   []string `json:"items"`
	Kept    string   `json:"kept,omitempty"`  // why it stays; "" where it goes
	Back    bool     `json:"back,omitempty"`  // it stays since it has come back to life
	Error   string   `json:"error,omitempty"` // what went wrong while removing
	orphan  *attachment.Attachment
	strange node.Lease
	broken  *node.Broken
}

// Dead lists what belongs to no living attachment. What is younger than grace, or from
// the future, stays: an ADD takes the lease before it makes the link.
func Dead(n *node.Node, list []*attachment.Attachment, grace time.Duration) []Removal {
	out := []Removal{}
	for _, a := range list {
		switch a.State {
		case attachment.Orphan:
			out = append(out, Removal{Name: a.Name(), Why: a.Findings.Error(), Items: a.Left, Kept: young(a.Since, grace), orphan: a})
		case attachment.Doubt:
			out = append(out, Removal{Name: a.Name(), Why: a.Findings.Error(), Items: a.Left, Kept: "in doubt"})
		}
	}
	for _, l := range n.Leases {
		if l.Owner == (lease.Owner{}) {
			out = append(out, Removal{
				Name: l.Network + "/" + l.Addr.String(), Why: "the file names nobody: a crash left it", Items: []string{"lease " + l.Path()},
				Kept: young(&l.Time, grace), strange: l,
			})
		}
	}
	for _, b := range n.Broken {
		out = append(out, Removal{
			Name: filepath.Base(b.File), Why: "libcni can't read it: " + b.Why.Error(), Items: []string{"cache " + b.File}, Kept: young(&b.Time, grace), broken: &b,
		})
	}
	return out
}

func young(since *time.Time, grace time.Duration) string {
	if since == nil {
		return "" // rules alone: ADD makes them after the link
	}
	switch age := time.Since(*since); {
	case age < 0:
		return "its time lies in the future: set the clock first"
	case age < grace:
		return fmt.Sprintf("younger than %s: an ADD may be on its way", grace)
	}
	return ""
}

// Remove removes what Dead does not keep, and notes what went wrong. step is told before each.
func Remove(list []Removal, step func(done, of int)) error {
	s, err := plan.Open(nil)
	if err != nil {
		return err
	}
	defer s.Close() // every change has been confirmed
	var errs []error
	for i := range list {
		step(i, len(list))
		r := &list[i]
		if r.Kept != "" {
			continue
		}
		if r.broken != nil {
			err = forget(r.broken.File, r.broken.Time)
		} else if r.orphan == nil {
			_, err = lease.Reclaim(r.strange.Dir, r.strange.Network, r.strange.File)
		} else {
			err = bury(s, r)
		}
		if err != nil {
			r.Error = err.Error()
			errs = append(errs, fmt.Errorf("%s: %w", r.Name, err))
		}
	}
	return errors.Join(append(errs, firewall.TidyRules(s))...)
}

// bury removes rules, then leases, then the cache's entry. Leases come first to be looked at: one that is
// not the one that was seen means that the attachment has come back.
func bury(s *plan.Session, r *Removal) error {
	a := r.orphan
	if a.IfName != "" && link.Exists(s, label.LinkOf(a.Tag)) || changed(a.Leases) {
		r.Kept, r.Back = "it has come back to life", true
		return nil
	}
	errs := []error{owned.Remove(s, a.Tag, owned.RulesOnly)}
	if a.IfName != "" {
		errs = append(errs, dropIPTables(s, a))
	}
	for _, l := range a.Leases {
		_, err := lease.Reclaim(l.Dir, l.Network, l.File)
		errs = append(errs, err)
	}
	if a.Cached != nil {
		errs = append(errs, forget(a.Cached.File, a.Cached.Time))
	}
	return errors.Join(errs...)
}

// dropIPTables removes the attachment's rules of iptables.
func dropIPTables(s *plan.Session, a *attachment.Attachment) error {
	rest := owned.By(a.Owner(), nil)
	return plan.Delete(s, rest.PortsIPTables, rest.MasqueradeIPTables)
}

// forget removes the cache's file as it was seen, unless an ADD has written it anew.
func forget(file string, seen time.Time) error {
	info, err := os.Stat(file)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil || info.ModTime().After(seen.Add(time.Second)) {
		return err
	}
	return os.Remove(file)
}

func changed(list []node.Lease) bool {
	return slices.ContainsFunc(list, func(l node.Lease) bool {
		files, err := lease.Files(l.Dir, l.Network)
		return err != nil || slices.ContainsFunc(files, func(f lease.File) bool {
			return f.Addr == l.Addr && (f.Owner != l.Owner || !f.Time.Equal(l.Time))
		})
	})
}

// Mended is what was missing of one attachment.
type Mended struct {
	Name     string     `json:"name"`
	Missing  []string   `json:"missing"`            // as CHECK says it
	Findings plan.Drift `json:"findings"`           // the same
	Commands []string   `json:"commands"`           // what was, or would be, put back
	Error    string     `json:"error,omitempty"`    // what could not be put back
	Restored bool       `json:"restored,omitempty"` // CHECK finds nothing any more
	Gone     bool       `json:"gone,omitempty"`     // it was deleted meanwhile: nothing was put back
}

// Repair puts back what living attachments lack, from libcni's cache, object by object: what is as it
// should be is not touched, so connections go on. With dry it changes nothing. step is told before each.
func Repair(list []*attachment.Attachment, dry bool, step func(done, of int)) []Mended {
	out := []Mended{}
	for i, a := range list {
		step(i, len(list))
		if a.State == attachment.Drift {
			out = append(out, mendOne(a, dry))
		}
	}
	return out
}

func mendOne(a *attachment.Attachment, dry bool) Mended {
	m := Mended{Name: a.Name(), Missing: a.Notes, Findings: a.Findings}
	err := a.With(func(s *plan.Session, p plan.Plan) error { return mendPlan(s, a, p, dry, &m) })
	err = errors.Join(err, mendLease(a, dry, &m))
	if err == nil && !dry {
		err = a.With(func(s *plan.Session, p plan.Plan) error { return p.Check(s) })
		m.Restored = err == nil
	}
	if !dry && a.Host != nil { // last: what fails because of a DEL is no fault
		gone, gerr := takeBack(a)
		if gone && gerr == nil {
			return Mended{Name: m.Name, Missing: m.Missing, Findings: m.Findings, Gone: true}
		}
		err = errors.Join(err, gerr)
	}
	if err != nil {
		m.Error = plan.Findings(err).Error()
	}
	m.Commands = slices.Compact(m.Commands)
	return m
}

// takeBack removes what was put back, or added, for an attachment that a DEL has taken meanwhile. DEL looks
// for rules after it has deleted the link: what is added while the link exists DEL sees, and what is
// added later takeBack sees.
func takeBack(a *attachment.Attachment) (gone bool, err error) {
	err = plan.With(nil, func(s *plan.Session) error {
		links, err := link.Tagged(s, func(tag string) bool { return tag == a.Tag })
		if gone = err == nil && len(links) == 0; !gone {
			return err
		}
		return errors.Join(owned.Remove(s, a.Tag, owned.RulesOnly), dropIPTables(s, a))
	})
	if !gone {
		return false, err
	}
	for _, l := range a.Unleased() {
		files, lerr := lease.Files(l.Dir, l.Network)
		err = errors.Join(err, lerr)
		for _, f := range files {
			if f.Addr == l.Addr && f.Owner == (lease.Owner{ContainerID: a.Container, IfName: a.IfName}) {
				_, lerr = lease.Reclaim(l.Dir, l.Network, f)
				err = errors.Join(err, lerr)
			}
		}
	}
	return true, err
}

// mendPlan adds what is not as it should be, in the plan's order: what comes first may be what the next stands on.
func mendPlan(s *plan.Session, a *attachment.Attachment, p plan.Plan, dry bool, m *Mended) error {
	shared, bare := len(p.Before)+len(p.Shared), dry && attachment.Bare(s, p)
	for i, o := range p.Objects() {
		c, ok := o.(plan.Checker)
		if !ok || c.Check(s) == nil && !(bare && i < shared) {
			continue
		}
		if v, ok := o.(link.Veth); ok && !link.Exists(s, v.Owner.LinkName()) {
			return fmt.Errorf("veth %s is missing: only a new ADD can make it: replace the container", v.Owner.LinkName())
		}
		commands := a.MendingCommands(s, o)
		mend := o.Add
		if by, ok := o.(plan.Mender); ok {
			mend = by.Mend
		}
		if !dry {
			if err := errors.Join(mend(s), s.Flush()); err != nil {
				return err
			}
		}
		m.Commands = append(m.Commands, commands...)
	}
	if dry {
		return nil
	}
	return p.Refill(s)
}

// mendLease leases again what the attachment has; an error where somebody else has got the address meanwhile.
func mendLease(a *attachment.Attachment, dry bool, m *Mended) (err error) {
	if a.Inner == nil {
		return nil
	}
	owner := lease.Owner{ContainerID: a.Container, IfName: a.IfName}
	for _, l := range a.Unleased() {
		var failed error
		if !dry {
			failed = lease.Restore(l.Dir, l.Network, owner, l.Addr)
		}
		if failed == nil {
			m.Commands = append(m.Commands, lease.Command(l.Dir, l.Network, owner, l.Addr))
		}
		err = errors.Join(err, failed)
	}
	return err
}
