package plan

import (
	"fmt"
	"slices"
	"strings"
)

// Kind is what sort of thing a Finding is about.
type Kind string

// The kinds of findings.
const (
	LinkKind    Kind = "link"    // a link, its state and flags, and its place in a bridge
	AddressKind Kind = "address" // of the container
	GatewayKind Kind = "gateway" // an address of the bridge
	RouteKind   Kind = "route"   // of the container, or the host's for ::1
	VLANKind    Kind = "vlan"
	FDBKind     Kind = "fdb"
	SysctlKind  Kind = "sysctl"
	ForwardKind Kind = "forward" // somebody's rules drop what the bridge forwards
	ElementKind Kind = "element" // of a set or map of nf_tables
	ChainKind   Kind = "chain"   // of nf_tables, and its rules
	RuleKind    Kind = "rule"    // of iptables
	LeaseKind   Kind = "lease"
	// Of attachments, as the operator's command joins them.
	NamespaceKind Kind = "namespace" // the container's: gone, not to be entered, or without the link
	ErrorKind     Kind = "error"     // what could not be asked
)

// Finding is one difference between a plan and the kernel.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Object string `json:"object"` // "veth vethfca877ccd11", "chain inet bridgeport guard"
	Field  string `json:"field"`  // "mtu"; "" where the object itself is missing
	// Expected and Actual are values of the field. Actual is "" where the thing is missing.
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
	Text     string `json:"text,omitempty"` // what follows the object, instead of what the fields say
}

func (f Finding) sentence() string {
	if f.Actual == "" {
		return strings.TrimSpace(f.Field+" "+f.Expected) + " is missing"
	}
	return fmt.Sprintf("%s is %s, expected %s", f.Field, f.Actual, f.Expected)
}

// String is the finding as a sentence.
func (f Finding) String() string {
	if f.Text != "" {
		return f.Object + f.Text
	}
	return f.Object + ": " + f.sentence()
}

// Drift is an error that consists of findings.
type Drift []Finding

// Sentences are the findings for people. Neighbours that are of one object make one sentence.
func (d Drift) Sentences() (list []string) {
	for i, f := range d {
		if i > 0 && f.Text == "" && d[i-1].Text == "" && f.Object == d[i-1].Object {
			list[len(list)-1] += ", " + f.sentence()
			continue
		}
		list = append(list, f.String())
	}
	return list
}

func (d Drift) Error() string { return strings.Join(d.Sentences(), "; ") }

// comparison collects what differs of one object.
type comparison struct {
	kind   Kind
	object string
	drift  Drift
}

// Compare begins a comparison of the object.
func Compare(kind Kind, object string) *comparison { return &comparison{kind: kind, object: object} }

// Want notes a difference between the texts of want and have.
func (c *comparison) Want(field string, want, have any) *comparison {
	return c.WantIf(true, field, want, have)
}

// WantIf is Want where the condition holds.
func (c *comparison) WantIf(is bool, field string, want, have any) *comparison {
	w, h := fmt.Sprint(want), fmt.Sprint(have)
	if is && w != h {
		c.drift = append(c.drift, Finding{Kind: c.kind, Object: c.object, Field: field, Expected: w, Actual: h})
	}
	return c
}

// Missing notes that the thing itself does not exist.
func (c *comparison) Missing(field, what string) *comparison {
	return c.MissingIf(true, field, what)
}

// MissingIf is Missing where the condition holds.
func (c *comparison) MissingIf(is bool, field, what string) *comparison {
	if is {
		c.drift = append(c.drift, Finding{Kind: c.kind, Object: c.object, Field: field, Expected: what})
	}
	return c
}

// Err is nil without differences.
func (c *comparison) Err() error {
	if len(c.drift) == 0 {
		return nil
	}
	return c.drift
}

// Findings are all findings in an error of Check, each once. Other errors are of ErrorKind.
func Findings(err error) Drift {
	found, others := split(err)
	for _, o := range others {
		found = append(found, Finding{Kind: ErrorKind, Text: o.Error()})
	}
	seen := make(map[Finding]bool)
	return slices.DeleteFunc(found, func(f Finding) bool {
		again := seen[f]
		seen[f] = true
		return again
	})
}

// split takes joined and wrapped errors apart.
func split(err error) (found Drift, others []error) {
	switch e := err.(type) {
	case nil:
		return nil, nil
	case Drift:
		return slices.Clone(e), nil
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			more, rest := split(part)
			found, others = append(found, more...), append(others, rest...)
		}
		return found, others
	case interface{ Unwrap() error }:
		if found, others = split(e.Unwrap()); len(found) > 0 {
			return found, others
		}
	}
	return nil, []error{err}
}

// AddressHeldError is an ErrConflict: a link that lives has the address that ADD was given.
type AddressHeldError struct {
	Address string // an IP address, or a MAC address and the bridge
	Holder  string // container, network, interface and pod, as far as they are known, or a port
}

func (e *AddressHeldError) Error() string {
	return fmt.Sprintf("address %s is held by %s: choose another address, or delete that container (its lease may be lost, or another network has the same subnet)", e.Address, e.Holder)
}

func (e *AddressHeldError) Unwrap() error { return ErrConflict }
