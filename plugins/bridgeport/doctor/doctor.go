// Package doctor is the checks of a node: each knows what follows if it fails, what it
// saw, and the command that fixes it.
package doctor

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// Severities. Fail: something does not work, or is open to attack, now. Warn: it will, or it may.
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
	look        func(*Patient) // tells what it sees
}

func fails(name, about, consequence string, look func(*Patient)) Check {
	return Check{name, about, Fail, consequence, look}
}

func warns(name, about, consequence string, look func(*Patient)) Check {
	return Check{name, about, Warn, consequence, look}
}

// Patient is what the checks look at.
type Patient struct {
	*node.Node
	List     []*attachment.Attachment
	Networks []attachment.Network
	Chains   []node.Chain // everybody's; nil where they can't be read
	check    Check        // the one that looks
	seen     []Finding    // its findings
}

// tell takes what the check has seen, and the command that fixes it.
func (p *Patient) tell(fix, evidence string, args ...any) {
	p.seen = append(p.seen, Finding{p.check.Name, p.check.Severity, fmt.Sprintf(evidence, args...), p.check.Consequence, fix})
}

// Examine reads what checks need beyond the node.
func Examine(n *node.Node, list []*attachment.Attachment) *Patient {
	p := &Patient{Node: n, List: list, Networks: attachment.Networks(n, list)}
	p.Chains, _ = node.Chains() // without nf_tables the check of that name tells
	return p
}

// Checks are all of them, in the order of what to look at first.
func Checks() []Check {
	return slices.Concat(forwardChecks, ruleChecks, bridgeChecks, linkChecks, attachmentChecks, leaseChecks, hostChecks, fileChecks)
}

// Run asks every check. The worst findings come first.
func (p *Patient) Run() []Finding {
	list := []Finding{}
	for _, p.check = range Checks() {
		p.seen = nil
		p.check.look(p)
		list = append(list, several(p.seen)...)
	}
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// Lasting are the findings of a second look that the same checks had in the first.
func Lasting(first, second []Finding) []Finding {
	return slices.DeleteFunc(second, func(f Finding) bool {
		return !slices.ContainsFunc(first, func(o Finding) bool { return o.Check == f.Check })
	})
}

// several keeps a long list readable: the first ones, and how many more there are.
func several(list []Finding) []Finding {
	const most = 4
	if more := len(list) - most; more > 0 {
		list = list[:most]
		list[most-1].Evidence += fmt.Sprintf(" (and %d more like it)", more)
	}
	return list
}

func rank(f Finding) int { return map[string]int{Fail: 0, Warn: 1}[f.Severity] }

// Status is the exit status: 0 well, 1 warnings, 2 failures. The worst finding comes first.
func Status(list []Finding) int {
	if len(list) == 0 {
		return 0
	}
	return 2 - rank(list[0])
}

// gateways are the networks whose containers leave by this host.
func (p *Patient) gateways() []attachment.Network {
	return slices.DeleteFunc(slices.Clone(p.Networks), func(w attachment.Network) bool {
		return w.Conf == nil || !w.Conf.IsGateway
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

func (p *Patient) alive() []*attachment.Attachment {
	return slices.DeleteFunc(slices.Clone(p.List), func(a *attachment.Attachment) bool { return !a.Alive() })
}

// inside are those of the living that can be looked into.
func (p *Patient) inside() []*attachment.Attachment {
	return slices.DeleteFunc(p.alive(), func(a *attachment.Attachment) bool { return a.Inner == nil })
}

func attachments(p *Patient) []*attachment.Attachment { return p.List }
func networks(p *Patient) []attachment.Network        { return p.Networks }

// each is a look at every thing of a list.
func each[T any](list func(*Patient) []T, look func(*Patient, T)) func(*Patient) {
	return func(p *Patient) {
		for _, thing := range list(p) {
			look(p, thing)
		}
	}
}
