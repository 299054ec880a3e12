// Package doctor is the checks of a node: each knows what follows if it fails, what it
// saw, and the command that fixes it.
package doctor

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// Severities. Fail: something does not work, or is open to attack, now. Warn: it will,
// or it may.
const (
	Fail = "fail"
	Warn = "warn"
)

// Finding is what one check saw.
type Finding struct {
	Check       string `json:"check"`
	Severity    string `json:"severity"`
	Evidence    string `json:"evidence"`
	Consequence string `json:"consequence"`
	Fix         string `json:"fix"` // a command, or what to do
}

// Check is one question to the node.
type Check struct {
	Name        string
	About       string // what is well if it finds nothing
	Severity    string
	Consequence string
	look        func(*Patient) []symptom
}

// symptom is the part of a Finding that differs from case to case.
type symptom struct{ evidence, fix string }

// one is a single symptom.
func one(fix, evidence string, args ...any) []symptom {
	return []symptom{{fmt.Sprintf(evidence, args...), fix}}
}

// Patient is what the checks look at.
type Patient struct {
	*node.Node
	List     []*attachment.Attachment
	Networks []attachment.Network
	Chains   []node.Chain // everybody's; nil where they can't be read
}

// Examine reads what checks need beyond the node.
func Examine(n *node.Node, list []*attachment.Attachment) *Patient {
	p := &Patient{Node: n, List: list, Networks: attachment.Networks(n, list)}
	p.Chains, _ = node.Chains() // without nf_tables the check of that name tells
	return p
}

// Checks are all of them, in the order of what to look at first.
func Checks() []Check {
	return slices.Concat(forwardChecks(), ruleChecks(), bridgeChecks(), linkChecks(), attachmentChecks(), leaseChecks(), hostChecks(), fileChecks())
}

// Run asks every check. The worst findings come first.
func (p *Patient) Run() []Finding {
	list := []Finding{}
	for _, c := range Checks() {
		for _, s := range c.look(p) {
			list = append(list, Finding{c.Name, c.Severity, s.evidence, c.Consequence, s.fix})
		}
	}
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

func rank(f Finding) int {
	if f.Severity == Fail {
		return 0
	}
	return 1
}

// Status is the exit status: 0 well, 1 warnings, 2 failures.
func Status(list []Finding) int {
	worst := 0
	for _, f := range list {
		worst = max(worst, 2-rank(f))
	}
	return worst
}

// gateways are the networks whose containers leave by this host.
func (p *Patient) gateways() []attachment.Network {
	return slices.DeleteFunc(slices.Clone(p.Networks), func(w attachment.Network) bool {
		return w.Conf == nil || !w.Conf.IsGateway && !w.Conf.IsDefault
	})
}

// bridges are the networks' bridges that exist, each once.
func (p *Patient) bridges() []*node.Link {
	var list []*node.Link
	for _, w := range p.Networks {
		if l := p.Link(w.Bridge); w.Bridge != "" && l != nil && l.Kind == "bridge" && !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	return list
}

// uplinks are the links of default routes, each once.
func (p *Patient) uplinks() []*node.Link {
	var list []*node.Link
	for _, r := range p.Routes {
		if l := p.LinkAt(r.Link); r.Dst.Bits() == 0 && l != nil && !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	return list
}

func (p *Patient) alive() []*attachment.Attachment {
	return slices.DeleteFunc(slices.Clone(p.List), func(a *attachment.Attachment) bool { return !a.Alive() })
}

func has(list []netip.Prefix, is4 bool) bool {
	return slices.ContainsFunc(list, func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
}
