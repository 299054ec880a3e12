// Package doctor is the checks of a node: each tells what it saw, what follows, and the command that fixes it.
package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
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
	about       string // the thing that it is about; "" where the check is about the node
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

// tell takes what the check has seen, and the fix. It is about the first argument, unless that is a number or an error.
func (p *Patient) tell(fix, evidence string, args ...any) {
	f := Finding{p.check.Name, p.check.Severity, fmt.Sprintf(evidence, args...), p.check.Consequence, fix, ""}
	switch thing := args[0].(type) {
	case string, fmt.Stringer:
		f.about = fmt.Sprint(thing)
	}
	p.seen = append(p.seen, f)
}

// Examine reads what checks need beyond the node.
func Examine(n *node.Node, list []*attachment.Attachment) *Patient {
	p := &Patient{Node: n, List: list, Networks: attachment.Networks(n, list)}
	p.Chains, _ = node.Chains() // without nf_tables the check of that name tells
	return p
}

// Checks are all of them, in the order of what to look at first.
func Checks() []Check {
	return slices.Concat(forwardChecks, ruleChecks, bridgeChecks, linkChecks, attachmentChecks, leaseChecks, hostChecks, kernelChecks, fileChecks)
}

// Look examines the node that read reads. Where it finds something it reads again after a pause, and tells what both looks saw.
func Look(read func() (*node.Node, []*attachment.Attachment, error)) (*Patient, []Finding, error) {
	n, list, err := read()
	if err != nil {
		return nil, nil, err
	}
	p := Examine(n, list)
	found := p.Run()
	if len(found) > 0 {
		time.Sleep(attachment.Pause)
		again, second, err := read()
		if err != nil {
			return nil, nil, err
		}
		p = Examine(again, attachment.Lasting(list, second))
		found = slices.DeleteFunc(p.Run(), func(f Finding) bool {
			return !slices.ContainsFunc(found, func(o Finding) bool { return o.Check == f.Check && o.about == f.about })
		})
	}
	return p, found, nil
}

// Run asks every check. The worst findings come first.
func (p *Patient) Run() []Finding {
	list := []Finding{}
	for _, p.check = range Checks() {
		p.seen = nil
		p.check.look(p)
		list = append(list, p.seen...)
	}
	slices.SortStableFunc(list, func(a, b Finding) int { return cmp.Compare(rank(a), rank(b)) })
	return list
}

// Grouped keeps a long list readable: many findings of one check in one network are one, with
// their number, examples and the fixes of these.
func Grouped(list []Finding) (out []Finding) {
	const most, examples = 4, 2
	groups := make(map[[2]string][]Finding)
	key := func(f Finding) [2]string { return [2]string{f.Check, f.network()} }
	for _, f := range list {
		groups[key(f)] = append(groups[key(f)], f)
	}
	for _, f := range list {
		group := groups[key(f)]
		delete(groups, key(f))
		if len(group) <= most {
			out = append(out, group...)
			continue
		}
		var seen, fixes []string
		for i, f := range group {
			if i < examples {
				seen = append(seen, f.Evidence)
			}
			if !slices.Contains(fixes, f.Fix) {
				fixes = append(fixes, f.Fix)
			}
		}
		if len(fixes) > examples {
			fixes = append(fixes[:examples], "# and so on: bridgeport doctor -v has all of them")
		}
		where := ""
		if f.network() != "" {
			where = " in network " + f.network()
		}
		f.Evidence = fmt.Sprintf("%d times%s, such as %s", len(group), where, strings.Join(seen, "; "))
		f.Fix = strings.Join(fixes, "\n")
		out = append(out, f)
	}
	return out
}

// network is that of an attachment's name; "" for other things.
func (f Finding) network() string {
	if parts := strings.Split(f.about, "/"); len(parts) == 3 {
		return parts[0]
	}
	return ""
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
func (p *Patient) bridges() (list []*node.Link) {
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

var attachmentChecks = []Check{
	warns("drift", "attachments are as their ADD made them",
		"what CHECK would report; a runtime that checks (CRI-O) restarts such pods", drifted),
	fails("half-attached", "containers' links have their other ends", "the container has addresses, but no way to anywhere", drifted),
	warns("orphan-cache", "libcni's cache has no dead attachments",
		"a runtime that calls GC deletes them again and again; ports and addresses may stay taken",
		orphans("cache entry", func(a *attachment.Attachment) int { return map[bool]int{true: 1}[a.Cached != nil] })),
	warns("unsure", "each attachment is known to live or to be dead",
		"bridgeport gc keeps it, whatever it is", each(attachments, func(p *Patient, a *attachment.Attachment) {
			if a.State == attachment.Doubt {
				p.tell("look who it is: bridgeport who "+a.Container+"; a DEL by its runtime removes it", "%s: %v", a.Name(), a.Findings)
			}
		})),
}

// checkOf is the check that tells a finding of an attachment: "drift" where no other does.
func checkOf(a *attachment.Attachment, f plan.Finding) string {
	ours := func(c nft.Chain) bool { return f.Object == "chain inet "+nft.Table+" "+c.Name }
	for _, t := range []struct {
		kind  plan.Kind
		is    bool
		check string
	}{
		{plan.LinkKind, f.Field == attachment.HostEnd, "half-attached"},
		{plan.LinkKind, f.Field == "state" && f.Object == "bridge "+a.Bridge, "bridge-down"},
		{plan.LinkKind, f.Field == "state" || f.Field == "port of bridge", "port-unplugged"},
		{plan.AddressKind, true, "address-drift"},
		{plan.RouteKind, f.Field == "route", "address-drift"},
		{plan.ElementKind, true, "elements-missing"},
		{plan.RuleKind, true, "elements-missing"},
		{plan.ChainKind, slices.ContainsFunc(ruleset.Base().Chains(), ours), "rules-missing"},
		{plan.LeaseKind, true, "lease-missing"},
		{plan.GatewayKind, f.Object == "link "+a.Bridge, "gateway-missing"},
		{plan.SysctlKind, f.Field == "net.ipv4.ip_forward", "ip-forward"},
		{plan.SysctlKind, f.Field == "net.ipv6.conf.all.forwarding", "ip6-forward"},
		{plan.SysctlKind, f.Field == "net.ipv6.conf."+a.Bridge+".accept_ra", "accept-ra"},
	} {
		if f.Kind == t.kind && t.is {
			return t.check
		}
	}
	return "drift"
}

// drifted tells the findings of living attachments that are the check's.
func drifted(p *Patient) {
	for _, a := range p.List {
		if a.State != attachment.Drift {
			continue
		}
		mine := slices.DeleteFunc(slices.Clone(a.Findings), func(f plan.Finding) bool { return checkOf(a, f) != p.check.Name })
		fix := "bridgeport repair"
		if a.Cached == nil || a.Host == nil { // repair works by libcni's cache, and does not make links
			fix = "replace the container: only a new ADD makes what is missing"
		}
		if len(mine) > 0 {
			p.tell(fix, "%s: %v", a.Name(), mine)
		}
	}
}

// orphans tells how many things of a kind the dead have left.
func orphans(what string, count func(*attachment.Attachment) int) func(*Patient) {
	return each(attachments, func(p *Patient, a *attachment.Attachment) {
		if n := count(a); a.State == attachment.Orphan && n > 0 {
			p.tell("bridgeport gc", "%[2]s of %[1]s: %[3]v", a.Name(), show.Count(n, what), a.Findings)
		}
	})
}
