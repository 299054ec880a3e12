package plan

import (
	"fmt"
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
)

// Finding is one difference between a plan and the kernel.
type Finding struct {
	Kind   Kind   `json:"kind"`
	Object string `json:"object"` // "veth vethfca877ccd11", "chain inet bridgeport guard"
	Field  string `json:"field"`  // "mtu"; "" where the object itself is missing
	// Expected and Actual are values of the field. Actual is "" where the thing is missing.
	Expected string `json:"expected"`
	Actual   string `json:"actual"`
	Text     string // follows the object in String, in place of the fields
}

// sentence is the finding without its object.
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

// Drift is the findings of one object. It is never empty.
type Drift []Finding

func (d Drift) Error() string {
	parts := []string{d[0].String()}
	for _, f := range d[1:] {
		parts = append(parts, f.sentence())
	}
	return strings.Join(parts, ", ")
}

// comparison collects what differs of one object.
type comparison struct {
	kind   Kind
	object string
	drift  Drift
}

// Compare begins a comparison of the object.
func Compare(kind Kind, object string) *comparison { return &comparison{kind: kind, object: object} }

// Want notes a difference between the texts of want and have.
func (c *comparison) Want(field string, want, have any) {
	w, h := fmt.Sprint(want), fmt.Sprint(have)
	if w != h {
		c.drift = append(c.drift, Finding{Kind: c.kind, Object: c.object, Field: field, Expected: w, Actual: h})
	}
}

// Missing notes that the thing itself does not exist.
func (c *comparison) Missing(field, what string) {
	c.drift = append(c.drift, Finding{Kind: c.kind, Object: c.object, Field: field, Expected: what})
}

// Err is nil without differences.
func (c *comparison) Err() error {
	if len(c.drift) == 0 {
		return nil
	}
	return c.drift
}

// Findings separates the findings in an error of Check from other errors.
func Findings(err error) (list []Finding, others []error) {
	switch e := err.(type) {
	case nil:
		return nil, nil
	case Drift:
		return e, nil
	case interface{ Unwrap() []error }:
		for _, part := range e.Unwrap() {
			more, rest := Findings(part)
			list, others = append(list, more...), append(others, rest...)
		}
		return list, others
	case interface{ Unwrap() error }:
		if list, others = Findings(e.Unwrap()); len(list) > 0 {
			return list, others
		}
	}
	return nil, []error{err}
}
