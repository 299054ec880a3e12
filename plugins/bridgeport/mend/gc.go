// Package mend removes what is dead and puts back what is missing.
package mend

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
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

// Remove removes what Dead does not keep, and notes what went wrong.
func Remove(list []Removal) error {
	s, err := plan.Open(nil)
	if err != nil {
		return err
	}
	defer s.Close() // every change has been confirmed
	var errs []error
	for i := range list {
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

// bury removes rules, then leases, then the cache's entry. Leases come first to be
// looked at: one that is not the one that was seen means that the attachment has come
// back.
func bury(s *plan.Session, r *Removal) error {
	a := r.orphan
	back := func() bool { return a.IfName != "" && link.Exists(s, label.LinkOf(a.Tag)) || changed(a.Leases) }
	if back() {
		r.Kept, r.Back = "it has come back to life", true
		return nil
	}
	errs := []error{owned.Remove(s, a.Tag, owned.RulesOnly)}
	if a.IfName != "" {
		rest := owned.By(a.Owner(), nil)
		errs = append(errs, plan.Delete(s, rest.PortsIPTables, rest.MasqueradeIPTables))
	}
	for _, l := range a.Leases {
		_, err := lease.Reclaim(l.Dir, l.Network, l.File)
		errs = append(errs, err)
	}
	if a.Cached != nil {
		if err := forget(a.Cached.File, a.Cached.Time); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
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
	for _, l := range list {
		files, err := lease.Files(l.Dir, l.Network)
		if err != nil {
			return true
		}
		for _, f := range files {
			if f.Addr == l.Addr && (f.Owner != l.Owner || !f.Time.Equal(l.Time)) {
				return true
			}
		}
	}
	return false
}
