package doctor

import (
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

func attachmentChecks() []Check {
	return []Check{
		warns("drift", "attachments are as their ADD made them",
			"what CHECK would report; a runtime that checks (CRI-O) restarts such pods", drifted),
		fails("half-attached", "containers' links have their other ends",
			"the container has addresses, but no way to anywhere", drifted),
		warns("orphan-cache", "libcni's cache has no dead attachments",
			"a runtime that calls GC deletes them again and again; ports and addresses may stay taken",
			orphans("cache entry", func(a *attachment.Attachment) int { return map[bool]int{true: 1}[a.Cached != nil] })),
		warns("unsure", "each attachment is known to live or to be dead",
			"bridgeport gc keeps it, whatever it is", unsure),
	}
}

// checkOf is the check that tells a finding of an attachment: "drift" where no other does.
func checkOf(a *attachment.Attachment, f plan.Finding) string {
	bridge := f.Object == "bridge "+a.Bridge
	switch {
	case f.Kind == plan.LinkKind && f.Field == attachment.HostEnd:
		return "half-attached"
	case f.Kind == plan.LinkKind && f.Field == "state" && bridge:
		return "bridge-down"
	case f.Kind == plan.LinkKind && (f.Field == "state" || f.Field == "port of bridge"):
		return "port-unplugged"
	case f.Kind == plan.AddressKind, f.Kind == plan.RouteKind && f.Field == "route":
		return "address-drift"
	case f.Kind == plan.ElementKind, f.Kind == plan.RuleKind:
		return "elements-missing"
	case f.Kind == plan.ChainKind && slices.ContainsFunc(ruleset.Base().Chains(), func(c nft.Chain) bool { return f.Object == "chain inet "+nft.Table+" "+c.Name }):
		return "rules-missing"
	case f.Kind == plan.LeaseKind:
		return "lease-missing"
	case f.Kind == plan.GatewayKind && f.Object == "link "+a.Bridge:
		return "gateway-missing"
	case f.Kind == plan.SysctlKind:
		if check := sysctlChecks[f.Field]; check != "" {
			return check
		}
		if f.Field == "net.ipv6.conf."+a.Bridge+".accept_ra" {
			return "accept-ra"
		}
	}
	return "drift"
}

// sysctlChecks are the settings that have a check of their own.
var sysctlChecks = map[string]string{"net.ipv4.ip_forward": "ip-forward", "net.ipv6.conf.all.forwarding": "ip6-forward"}

// drifted tells the findings of living attachments that are the check's.
func drifted(p *Patient) {
	for _, a := range p.List {
		if a.State != attachment.Drift {
			continue
		}
		mine := slices.DeleteFunc(slices.Clone(a.Findings), func(f plan.Finding) bool { return checkOf(a, f) != p.check.Name })
		if len(mine) > 0 {
			p.tell(mending(a), "%s: %v", a.Name(), mine)
		}
	}
}

// mending is the command that mends the attachment. repair works by libcni's cache, and does
// not make links.
func mending(a *attachment.Attachment) string {
	if a.Cached == nil || a.Host == nil {
		return "replace the container: only a new ADD makes what is missing"
	}
	return "bridgeport repair"
}

// orphans tells how many things of a kind the dead have left.
func orphans(what string, count func(*attachment.Attachment) int) func(*Patient) {
	return func(p *Patient) {
		for _, a := range p.List {
			if n := count(a); a.State == attachment.Orphan && n > 0 {
				p.tell("bridgeport gc", "%s of %s: %v", show.Count(n, what), a.Name(), a.Findings)
			}
		}
	}
}

func unsure(p *Patient) {
	for _, a := range p.List {
		if a.State == attachment.Doubt {
			p.tell(fmt.Sprintf("look who it is: bridgeport who %s; a DEL by its runtime removes it", a.Container), "%s: %v", a.Name(), a.Findings)
		}
	}
}
