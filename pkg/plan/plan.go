// Package plan is the vocabulary of what an attachment needs of the Linux kernel: a Plan is
// a list of plain values (Object) that can be added, checked, deleted and printed, in the
// order in which they depend on each other. The objects themselves are in packages link,
// firewall and foreign; package owned knows which of them an attachment may own.
//
//	s, err := plan.Open(ns) // the sockets of one verb; ns is the container's namespace
//	p := plan.Plan{
//		Shared: []plan.Object{link.Bridge{Name: "cni0"}},
//		Link:   []plan.Object{link.Veth{Owner: owner, IfName: "eth0", Master: "cni0", MAC: mac}},
//		Own:    []plan.Object{link.LinkUp{IfName: "eth0"}, link.PortReady(owner)},
//	}
//	err = p.Add(s)   // all of it, or nothing but Shared
//	err = p.Check(s) // nil, or what differs: Findings(err)
//	err = p.Del(s)   // absent things are success
//	fmt.Print(p)     // as commands of ip, nft and sysctl
//
// Opening a Session needs CAP_NET_ADMIN in the host's network namespace.
package plan

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// Object is one thing the kernel should hold.
type Object interface {
	// Add makes the object. It may queue requests on the Session, which Plan.Add flushes.
	// An Add that fails has left nothing.
	Add(s *Session) error
	// String is the command that a person would type: ip(8), nft(8), sysctl(8); "" for none.
	String() string
}

// Checker is an object that CHECK compares.
type Checker interface {
	// Check is nil, a Drift that names each field that differs, or the error of asking.
	Check(s *Session) error
}

// Deleter is an object that outlives the attachment's link, or is the link.
type Deleter interface {
	// Del removes the object. An absent object is success. Del needs only the Owner and the
	// addresses, never the rest of the configuration.
	Del(s *Session) error
}

// Mender is an object that `bridgeport repair` puts back by other means than Add.
type Mender interface {
	Mend(s *Session) error
}

// Plan.Add asks shared objects for more.
type (
	// vanisher is an object that somebody may delete while Add runs.
	vanisher interface{ Vanished(s *Session) bool }
	// relier is an object that is dangerous without another one, which somebody may delete
	// while Add runs. Secure makes that one again.
	relier interface{ Secure(s *Session) error }
)

// Step is a question or a wait of a plan. It makes nothing.
type Step struct {
	Name string // for people: "wait until the port of veth1 forwards"; "" for a step that does nothing
	Run  func(s *Session) error
}

// Add runs the step.
func (t Step) Add(s *Session) error { return t.Run(s) }

// String is the step as a comment of the shell.
func (t Step) String() string {
	if t.Name == "" {
		return ""
	}
	return "# " + t.Name
}

// Plan is what one attachment needs, in the order it must be made.
type Plan struct {
	Before []Step   // conditions for a change
	Shared []Object // made if missing, never removed by DEL
	Link   []Object // the attachment's link and its place in the bridge
	// Bounds are rules for the link's packets. They are made after the link, which holds the
	// attachment's name, and where one says so (Transaction.Soon) before it carries packets. They are
	// deleted after the link.
	Bounds []Object
	Own    []Object // everything else that lives and dies with the attachment
}

// Objects are all objects and steps in the order they are made.
func (p Plan) Objects() []Object {
	var before []Object
	for _, t := range p.Before {
		before = append(before, t)
	}
	return slices.Concat(before, p.Shared, p.Link, p.Bounds, p.Own)
}

// Add makes the plan real, and a bridge again that GC retired. An error leaves only Shared.
func (p Plan) Add(s *Session) error {
	err := p.add(s)
	for range 5 { // a crowd of GCs
		if err == nil || !p.vanished(s) {
			break
		}
		s.ForgetLinks()
		err = p.add(s)
	}
	if err != nil {
		for _, o := range p.Shared {
			if r, ok := o.(relier); ok {
				_ = r.Secure(s) // Add returns the first error
			}
		}
	}
	return err
}

func (p Plan) vanished(s *Session) bool {
	return slices.ContainsFunc(p.Shared, func(o Object) bool {
		v, ok := o.(vanisher)
		return ok && v.Vanished(s)
	})
}

func (p Plan) add(s *Session) error {
	for _, t := range p.Before {
		if err := t.Run(s); err != nil {
			return err
		}
	}
	for _, o := range p.Shared {
		if err := o.Add(s); err != nil {
			s.drop()
			return err
		}
	}
	if err := s.Flush(); err != nil {
		return err
	}
	var made Plan
	for _, part := range []struct{ from, to *[]Object }{
		{&p.Link, &made.Link}, {&p.Bounds, &made.Bounds}, {&p.Own, &made.Own},
	} {
		for _, o := range *part.from {
			if err := o.Add(s); err != nil {
				return made.undo(s, err)
			}
			*part.to = append(*part.to, o)
		}
		if part.from != &p.Bounds || !s.Tx.soon {
			continue
		}
		if err := s.Flush(); err != nil {
			return made.undo(s, err)
		}
	}
	if err := s.Flush(); err != nil {
		return made.undo(s, err)
	}
	return nil
}

func (p Plan) undo(s *Session, err error) error {
	s.drop()
	if uerr := p.Del(s); uerr != nil {
		return errors.Join(err, fmt.Errorf("undo: %w", uerr))
	}
	return err
}

// Check compares the whole plan with the kernel. Findings takes the error apart.
func (p Plan) Check(s *Session) error {
	var errs []error
	s.deferred = []nft.Chain{}
	for _, o := range p.Objects() {
		if c, ok := o.(Checker); ok {
			errs = append(errs, c.Check(s))
		}
	}
	chains := s.deferred
	s.deferred = nil
	return errors.Join(append(errs, s.CheckChains(chains...))...)
}

// Del removes Own and Link, last made first, then Bounds. It goes on after an error.
func (p Plan) Del(s *Session) error {
	var list []Deleter
	for _, part := range [][]Object{p.Own, p.Link, p.Bounds} {
		for _, o := range slices.Backward(part) {
			if d, ok := o.(Deleter); ok {
				list = append(list, d)
			}
		}
	}
	return Delete(s, list...)
}

// Delete removes each of the list, and goes on after an error.
func Delete(s *Session, list ...Deleter) error {
	var errs []error
	for _, d := range list {
		if err := d.Del(s); err != nil {
			errs = append(errs, fmt.Errorf("delete: %w", err))
		}
	}
	return errors.Join(errs...)
}

// String is the plan as commands, one a line.
func (p Plan) String() string {
	var b strings.Builder
	for _, o := range p.Objects() {
		if s := o.String(); s != "" {
			b.WriteString(s + "\n")
		}
	}
	return b.String()
}

// chained is an object with chains of nf_tables. Its Check compares them, Refill mends them.
type chained interface{ Chains() []nft.Chain }

// Refill puts rules back that somebody changed in the plan's chains. Add makes missing chains.
func (p Plan) Refill(s *Session) error {
	var chains []nft.Chain
	for _, o := range p.Objects() {
		if c, ok := o.(chained); ok {
			chains = append(chains, c.Chains()...)
		}
	}
	if len(chains) == 0 {
		return nil
	}
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	return rules.Refill(chains...)
}

// CheckChains compares chains. A plan's Check reads the table of family inet once, in the end.
func (s *Session) CheckChains(chains ...nft.Chain) error {
	if s.deferred != nil && !slices.ContainsFunc(chains, func(c nft.Chain) bool { return c.Family == nft.Bridge }) {
		for _, c := range chains {
			if !slices.ContainsFunc(s.deferred, func(o nft.Chain) bool { return o.Name == c.Name }) {
				s.deferred = append(s.deferred, c)
			}
		}
		return nil
	}
	if len(chains) == 0 {
		return nil
	}
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	differences, err := rules.Missing(chains...)
	errs := []error{err}
	for _, d := range differences {
		errs = append(errs, Drift{{Kind: ChainKind, Object: d.Chain, Field: d.Rule, Text: d.Text}})
	}
	return errors.Join(errs...)
}
