package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func ruleChecks() []Check {
	return []Check{
		{
			"nf-tables", "the kernel has nf_tables", Fail,
			"no masquerade and no published ports: ADD fails",
			func(p *Patient) []symptom {
				if p.NoRules == nil {
					return nil
				}
				return one("modprobe nf_tables nft_nat nft_fib_inet, or set \"ipMasqBackend\": \"iptables\"", "%v", p.NoRules)
			},
		},
		{
			"rules-missing", "our table has its chains and rules", Fail,
			"published ports and the way out do not work for any container, as after `nft flush ruleset`",
			rulesMissing,
		},
		{
			"elements-missing", "each attachment has the rules it was given", Fail,
			"these containers can't be reached by their published ports, or don't get out",
			func(p *Patient) []symptom { return p.drifted("element", "masquerade", "published port") },
		},
		{
			"loopback-guard", "127.0.0.0/8 is closed to the network", Fail,
			"neighbours reach services that listen on 127.0.0.1 only: route_localnet is on, and the rules that close it again are missing",
			loopbackGuard,
		},
		{
			"port-shadowed", "nobody else redirects a published port first", Fail,
			"connections to this port go where the other rule says, not to the container",
			shadowed,
		},
		{
			"port-listener", "no process of the host listens on a published port", Warn,
			"the published port wins: who connects from outside never reaches the process",
			listeners,
		},
		{
			"nat-legacy", "nat rules are in one of iptables-legacy and nftables", Warn,
			"two sets of nat rules see each connection, and the one that was loaded first decides: each program shows only its own half",
			twoNATs,
		},
		{
			"nat-priority", "no other nat chain stands at our priority", Warn,
			"at equal priority the chain that was registered last decides first, which changes with every reload",
			samePriority,
		},
		{
			"orphan-rules", "rules belong to attachments that live", Warn,
			"a port stays taken, or packets go to an address that another container may get",
			func(p *Patient) []symptom {
				return p.orphans("rule", func(a *attachment.Attachment) int { return len(a.Elements) })
			},
		},
	}
}

// wants says whether any living attachment needs our table.
func (p *Patient) wants() bool {
	for _, a := range p.alive() {
		if a.State == attachment.Foreign || a.Cached == nil {
			continue
		}
		for _, plugin := range a.Cached.Plugins {
			if plugin.IPMasq && plugin.MasqBackend != "iptables" {
				return true
			}
		}
	}
	return len(p.Rules) > 0
}

func rulesMissing(p *Patient) []symptom {
	if p.NoRules != nil || !p.wants() {
		return nil
	}
	c, err := nft.Open()
	if err != nil {
		return nil
	}
	defer c.Close() // nothing was changed
	missing, err := c.Missing(ruleset.Base().Chains()...)
	if err != nil || len(missing) == 0 {
		return nil
	}
	texts := make([]string, len(missing))
	for i, m := range missing {
		texts[i] = m.Chain + m.Text
	}
	return one("bridgeport repair", "%s", strings.Join(texts, "; "))
}

// drifted are attachments whose notes hold one of the words.
func (p *Patient) drifted(words ...string) []symptom {
	var list []symptom
	for _, a := range p.List {
		var notes []string
		for _, note := range a.Notes {
			if slices.ContainsFunc(words, func(w string) bool { return strings.Contains(note, w) }) {
				notes = append(notes, note)
			}
		}
		if a.State == attachment.Drift && len(notes) > 0 {
			list = append(list, one("bridgeport repair", "%s: %s", a.Name(), strings.Join(notes, "; "))...)
		}
	}
	return several(list)
}

// several keeps a long list readable: the first ones, and how many more there are.
func several(list []symptom) []symptom {
	const most = 4
	if len(list) <= most {
		return list
	}
	more := len(list) - most + 1
	list = list[:most]
	list[most-1].evidence += fmt.Sprintf(" (and %d more like it)", more-1)
	return list
}

func (p *Patient) orphans(what string, count func(*attachment.Attachment) int) []symptom {
	var list []symptom
	for _, a := range p.List {
		if n := count(a); a.State == attachment.Orphan && n > 0 {
			list = append(list, one("bridgeport gc", "%s of %s: %s", plural(n, what), a.Name(), strings.Join(a.Notes, "; "))...)
		}
	}
	return several(list)
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func loopbackGuard(p *Patient) []symptom {
	guarded := slices.ContainsFunc(p.Chains, func(c node.Chain) bool {
		return c.Table == nft.Table && c.Name == "guard" && c.Hook == "prerouting" && c.Length() >= 2
	})
	if guarded {
		return nil
	}
	var list []symptom
	for _, b := range p.bridges() {
		if node.Sysctl("net/ipv4/conf/"+b.Name+"/route_localnet") == "1" {
			list = append(list, one(fmt.Sprintf("bridgeport repair, or sysctl -w net.ipv4.conf.%s.route_localnet=0", b.Name),
				"net.ipv4.conf.%s.route_localnet is 1, and chain inet %s guard is missing or empty", b.Name, nft.Table)...)
		}
	}
	return list
}

func (p *Patient) published() map[string]*attachment.Attachment {
	ports := make(map[string]*attachment.Attachment)
	for _, a := range p.List {
		for _, port := range a.Ports {
			ports[fmt.Sprintf("%s/%d", port.Protocol, port.HostPort)] = a
		}
	}
	return ports
}

func shadowed(p *Patient) []symptom {
	ports := p.published()
	var list []symptom
	for _, c := range p.Chains {
		if c.Table == nft.Table || strings.HasPrefix(c.Name, "CNI-") {
			continue
		}
		for _, port := range c.Diverts() {
			if a := ports[port]; a != nil {
				list = append(list, one(fmt.Sprintf("nft -a list chain %s %s %s, then nft delete rule … handle N; or publish another port", c.Family, c.Table, c.Name),
					"%s sends %s elsewhere, which %s publishes", c, port, a.Name())...)
			}
		}
	}
	return list
}

func listeners(p *Patient) []symptom {
	ports := p.published()
	var list []symptom
	for _, s := range node.Listeners() {
		if a := ports[fmt.Sprintf("%s/%d", s.Protocol, s.Addr.Port())]; a != nil {
			list = append(list, one("stop it, or publish another port: bridgeport who "+fmt.Sprintf("%s/%d", s.Protocol, s.Addr.Port()),
				"%s listens on %s, which %s publishes", or(s.ProcessOf(), "a process"), s.Addr, a.Name())...)
		}
	}
	return list
}

func or(a, b string) string {
	if a == "" {
		return b
	}
	return a
}

func twoNATs(p *Patient) []symptom {
	for _, ipv6 := range []bool{false, true} {
		if rules := node.Legacy(ipv6, "nat"); strings.Contains(rules, "\n-A ") {
			i := slices.IndexFunc(p.Chains, func(c node.Chain) bool { return c.Type == "nat" && c.Hook == "prerouting" && c.Length() > 0 })
			if i < 0 {
				return nil
			}
			return one("move the legacy rules over: iptables-legacy-save -t nat | iptables-nft-restore -n, then iptables-legacy -t nat -F",
				"iptables-legacy has %d nat rules, and nftables has %s at priority %d", strings.Count(rules, "\n-A "), p.Chains[i], p.Chains[i].Priority)
		}
	}
	return nil
}

func samePriority(p *Patient) []symptom {
	if len(p.published()) == 0 {
		return nil
	}
	const ours = -99 // see pkg/nft: dstnat + 1
	var list []symptom
	for _, c := range p.Chains {
		if c.Table != nft.Table && c.Type == "nat" && c.Hook == "prerouting" && c.Priority == ours {
			list = append(list, one("give it the priority dstnat (-100) or dstnat + 10 (-90)", "%s hooks at priority %d, as chain inet %s prerouting does", c, ours, nft.Table)...)
		}
	}
	return list
}
