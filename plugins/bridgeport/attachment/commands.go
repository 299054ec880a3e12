package attachment

import (
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Commands are what a person would type to make the object as it is to be. A chain that is as
// it is to be is left out, another one that exists is filled anew. A link that exists is set,
// not added.
func Commands(s *plan.Session, o plan.Object) (list []string) {
	text := o.String()
	if c, ok := o.(interface{ Chains() []nft.Chain }); ok {
		for _, ch := range c.Chains() {
			text = strings.Replace(text, ch.String(), chainText(s, ch), 1)
		}
	}
	for line := range strings.Lines(text) {
		if line = strings.TrimSpace(line); line != "" {
			list = append(list, linkText(s, line))
		}
	}
	return list
}

func chainText(s *plan.Session, c nft.Chain) string {
	rules, err := s.Rules()
	if err != nil {
		return c.String()
	}
	if there, err := rules.Has(c); err != nil || !there {
		return c.String()
	}
	if s.CheckChains(c) == nil {
		return ""
	}
	return c.RefillText()
}

func linkText(s *plan.Session, line string) string {
	rest, ok := strings.CutPrefix(line, "ip link add ")
	name, _, _ := strings.Cut(rest, " ")
	if !ok || !link.Exists(s, name) {
		return line
	}
	rest, _, _ = strings.Cut(rest, " type veth ")
	return "ip link set " + rest
}

// again are the commands that fail where the thing is there, and what does the same to it.
var again = strings.NewReplacer("ip address add ", "ip address replace ", "route add ", "route replace ", "bridge fdb add ", "bridge fdb replace ")

// MendingCommands are those that mend an object of which a part may be there, in the
// attachment's own namespace.
func (a *Attachment) MendingCommands(s *plan.Session, o plan.Object) []string {
	list := Commands(s, o)
	for i, line := range list {
		list[i] = strings.ReplaceAll(again.Replace(line), "$CNI_NETNS", a.Netns)
	}
	return list
}

// Bare says whether the plan's bridge does not exist: then nothing of what stands on it does,
// whatever Check says, which tells a missing link once.
func Bare(s *plan.Session, p plan.Plan) bool {
	return slices.ContainsFunc(p.Shared, func(o plan.Object) bool {
		b, ok := o.(link.Bridge)
		return ok && !link.Exists(s, b.Name)
	})
}

// missing is the commands of a plan. A shared object that is as it is to be is left out, and
// a command that an earlier plugin has.
func missing(s *plan.Session, p plan.Plan, before []Step) string {
	seen := make(map[string]bool)
	for _, b := range before {
		for line := range strings.Lines(b.Commands) {
			seen[strings.TrimSpace(line)] = true
		}
	}
	shared, bare := len(p.Before)+len(p.Shared), Bare(s, p)
	var list []string
	for i, o := range p.Objects() {
		if c, ok := o.(plan.Checker); ok && i < shared && !bare && c.Check(s) == nil {
			continue
		}
		for _, line := range Commands(s, o) {
			if !seen[line] {
				list = append(list, line+"\n")
			}
			seen[line] = true
		}
	}
	return strings.Join(list, "")
}
