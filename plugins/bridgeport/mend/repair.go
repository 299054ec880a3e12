package mend

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
)

// Mended is what was missing of one attachment.
type Mended struct {
	Name     string     `json:"name"`
	Missing  []string   `json:"missing"`            // as CHECK says it
	Findings plan.Drift `json:"findings"`           // the same
	Commands []string   `json:"commands"`           // what was, or would be, put back
	Error    string     `json:"error,omitempty"`    // what could not be put back
	Restored bool       `json:"restored,omitempty"` // CHECK finds nothing any more
}

// Repair puts back what living attachments lack, from libcni's cache, object by object:
// what is as it should be is not touched, so connections go on. With dry it changes
// nothing.
func Repair(list []*attachment.Attachment, dry bool) []Mended {
	out := []Mended{}
	for _, a := range list {
		if a.State != attachment.Drift {
			continue
		}
		m := Mended{Name: a.Name(), Missing: a.Notes, Findings: a.Findings}
		err := a.With(func(s *plan.Session, p plan.Plan) error { return mendPlan(s, a, p, dry, &m) })
		err = errors.Join(err, mendLease(a, dry, &m))
		if err == nil && !dry {
			err = a.With(func(s *plan.Session, p plan.Plan) error { return p.Check(s) })
			m.Restored = err == nil
		}
		if err != nil {
			m.Error = plan.Findings(err).Error()
		}
		m.Commands = slices.Compact(m.Commands)
		out = append(out, m)
	}
	return out
}

// mendPlan adds each object that is not as it should be, in the order of the plan: what
// comes first may be what the next one stands on.
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
		if dry {
			m.Commands = append(m.Commands, commands...)
			continue
		}
		mend := o.Add
		if by, ok := o.(plan.Mender); ok {
			mend = by.Mend
		}
		if err := errors.Join(mend(s), s.Flush()); err != nil {
			return err
		}
		m.Commands = append(m.Commands, commands...)
	}
	if dry {
		return nil
	}
	return p.Refill(s)
}

// mendLease leases again what the attachment has. An address that somebody else has
// got meanwhile is an error.
func mendLease(a *attachment.Attachment, dry bool, m *Mended) error {
	if a.Inner == nil {
		return nil
	}
	var errs []error
	owner := lease.Owner{ContainerID: a.Container, IfName: a.IfName}
	for _, l := range a.Unleased() {
		if !dry {
			if err := lease.Restore(l.Dir, l.Network, owner, l.Addr); err != nil {
				errs = append(errs, err)
				continue
			}
		}
		m.Commands = append(m.Commands, lease.Command(l.Dir, l.Network, owner, l.Addr))
	}
	return errors.Join(errs...)
}
