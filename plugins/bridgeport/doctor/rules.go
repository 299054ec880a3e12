package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

var ruleChecks = []Check{
	fails("nf-tables", "the kernel has nf_tables", "no masquerade and no published ports: ADD fails", func(p *Patient) {
		if p.NoRules != nil {
			p.tell("modprobe -a nf_tables nft_nat nft_fib_inet   # or set \"ipMasqBackend\": \"iptables\"", "%v", p.NoRules)
		}
	}),
	fails("rules-missing", "our table has its chains and rules",
		"published ports and the way out do not work for any container, as after `nft flush ruleset`", func(p *Patient) {
			if p.NoRules != nil || !p.wants() {
				return
			}
			err := plan.With(nil, func(s *plan.Session) error { return s.CheckChains(ruleset.Base().Chains()...) })
			if err != nil {
				p.tell("bridgeport repair", "%v", plan.Findings(err))
			}
		}),
	fails("elements-missing", "each attachment has the rules it was given",
		"these containers can't be reached by their published ports, or don't get out", drifted),
	fails("loopback-guard", "127.0.0.0/8 is closed to the network",
		"neighbours reach services that listen on 127.0.0.1 only: route_localnet is on, and the rules that close it again are missing",
		each((*Patient).bridges, loopbackGuard)),
	fails("port-shadowed", "nobody else redirects a published port first",
		"connections to this port go where the other rule says, not to the container", shadowed),
	warns("port-listener", "no process of the host listens on a published port",
		"the published port wins: who connects from outside never reaches the process", listeners),
	warns("nat-legacy", "nat rules are in one of iptables-legacy and nftables",
		"two sets of nat rules see each connection, and the one that was loaded first decides: each program shows only its own half",
		func(p *Patient) {
			i := slices.IndexFunc(p.Chains, func(c node.Chain) bool { return c.Redirects() && c.Length() > 0 })
			if n := node.LegacyRules("nat"); n > 0 && i >= 0 {
				p.tell("move the legacy rules over: iptables-legacy-save -t nat | iptables-nft-restore -n, then iptables-legacy -t nat -F",
					"iptables-legacy has %d nat rules, and nftables has %s at priority %d", n, p.Chains[i], p.Chains[i].Priority)
			}
		}),
	warns("nat-priority", "no other nat chain stands at our priority",
		"at equal priority the chain that was registered last decides first, which changes with every reload",
		each(chains, func(p *Patient, c node.Chain) {
			const ours = -99 // see pkg/nft: dstnat + 1
			if c.Table != nft.Table && c.Redirects() && c.Priority == ours && len(p.published()) > 0 {
				p.tell("give it the priority dstnat (-100) or dstnat + 10 (-90)",
					"%s hooks at priority %d, as chain inet %s prerouting does", c, ours, nft.Table)
			}
		})),
	warns("orphan-rules", "rules belong to attachments that live",
		"a port stays taken, or packets go to an address that another container may get",
		orphans("rule", func(a *attachment.Attachment) int { return len(a.Elements) })),
}

func chains(p *Patient) []node.Chain { return p.Chains }

// wants says whether any living attachment needs our table.
func (p *Patient) wants() bool {
	return len(p.Rules) > 0 || slices.ContainsFunc(p.alive(), func(a *attachment.Attachment) bool {
		return a.State != attachment.Foreign && a.Cached != nil && slices.ContainsFunc(a.Cached.Plugins, node.Plugin.Masquerades)
	})
}

func loopbackGuard(p *Patient, b *node.Link) {
	guarded := slices.ContainsFunc(p.Chains, func(c node.Chain) bool {
		return c.Table == nft.Table && c.Name == "guard" && c.Hook == "prerouting" && c.Length() >= 2
	})
	mine := slices.ContainsFunc(p.alive(), func(a *attachment.Attachment) bool { return a.Bridge == b.Name && a.State != attachment.Foreign })
	fix := "sysctl -w net.ipv4.conf." + b.Name + ".route_localnet=0"
	if mine {
		fix = "bridgeport repair"
	}
	// The reference sets it for its containers, and has no guard.
	if !guarded && (mine || b.Ours()) && node.Sysctl("net/ipv4/conf/"+b.Name+"/route_localnet") == "1" {
		p.tell(fix, "net.ipv4.conf.%s.route_localnet is 1, and chain inet %s guard is missing or empty", b.Name, nft.Table)
	}
}

func (p *Patient) published() map[string]*attachment.Attachment {
	ports := make(map[string]*attachment.Attachment)
	for _, a := range p.List {
		for _, port := range a.Ports {
			ports[port.Key()] = a
		}
	}
	return ports
}

func shadowed(p *Patient) {
	ports := p.published()
	for _, c := range p.Chains {
		if c.Table == nft.Table || strings.HasPrefix(c.Name, "CNI-") {
			continue
		}
		for _, port := range c.Diverts() {
			if a := ports[port]; a != nil {
				p.tell(fmt.Sprintf("nft -a list chain %s %s %s, then nft delete rule … handle N; or publish another port", c.Family, c.Table, c.Name),
					"%s sends %s elsewhere, which %s publishes", c, port, a.Name())
			}
		}
	}
}

func listeners(p *Patient) {
	ports := p.published()
	for _, s := range node.Listeners() {
		a := ports[s.Key()]
		if a == nil {
			continue
		}
		// podman's conmon and CRI-O keep ports of the host from others while a container has them.
		process := s.ProcessOf()
		if name, _, _ := strings.Cut(process, "["); name != "conmon" && name != "crio" {
			p.tell("stop it, or publish another port: bridgeport who "+s.Key(), "%s listens on %s, which %s publishes", process, s.Addr, a.Name())
		}
	}
}
