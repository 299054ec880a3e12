package doctor

import (
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func forwardChecks() []Check {
	return []Check{
		{
			"ip-forward", "the host forwards IPv4", Fail,
			"containers reach the host, but nothing beyond it, and published ports time out",
			func(p *Patient) []symptom { return p.forwarding(true, "net/ipv4/ip_forward") },
		},
		{
			"ip6-forward", "the host forwards IPv6", Fail,
			"containers reach nothing beyond the host by IPv6",
			func(p *Patient) []symptom { return p.forwarding(false, "net/ipv6/conf/all/forwarding") },
		},
		{
			"forward-policy", "nobody's nftables rules drop what bridges forward", Fail,
			"packets from and to containers are dropped at the forward hook, where every table has a veto",
			blocked,
		},
		{
			"forward-legacy", "iptables-legacy does not drop what bridges forward", Fail,
			"packets from and to containers are dropped by rules that `nft list ruleset` does not show",
			blockedLegacy,
		},
		{
			"firewalld", "firewalld knows the bridges", Warn,
			"firewalld puts an unknown link into its default zone, which rejects what containers ask of the host, and the next reload may cut them off",
			firewalld,
		},
		{
			"ufw", "ufw lets bridges through", Warn,
			"ufw drops forwarded packets by default, and asks again after each reload",
			ufw,
		},
		{
			"br-netfilter", "bridged packets do not pass a dropping firewall", Fail,
			"containers on the same bridge can't reach each other: br_netfilter hands bridged packets to the forward hook, which drops them",
			brNetfilter,
		},
	}
}

func (p *Patient) forwarding(is4 bool, key string) []symptom {
	if node.Sysctl(key) != "0" {
		return nil
	}
	for _, w := range p.gateways() {
		if has(w.Subnets(), is4) {
			return one(fmt.Sprintf("sysctl -w %s=1", strings.ReplaceAll(key, "/", ".")), "%s is 0, but network %s needs it", strings.ReplaceAll(key, "/", "."), w.Name)
		}
	}
	return nil
}

func blocked(p *Patient) []symptom {
	var list []symptom
	for _, w := range p.gateways() {
		if w.Conf.Raw["forwardAccept"] == true || p.Link(w.Bridge) == nil {
			continue
		}
		// Of iptables-legacy the next check tells.
		if err := p.forwardBlocked(w.Bridge); err != nil && p.place(err.Error()) != "" {
			list = append(list, symptom{
				fmt.Sprintf("network %s: %v (set by %s)", w.Name, err, p.author(err.Error())),
				"set \"forwardAccept\": true in " + fileOf(w.File) + ", or now: nft insert rule " + p.place(err.Error()) + " iifname " + w.Bridge + " accept; nft insert rule " + p.place(err.Error()) + " oifname " + w.Bridge + " accept",
			})
		}
	}
	return list
}

func fileOf(path string) string {
	if path == "" {
		return "the network's configuration"
	}
	return path
}

func (p *Patient) forwardBlocked(bridge string) (err error) {
	h, err := plan.Open(nil)
	if err != nil {
		return nil // the check of nf_tables tells
	}
	defer h.Close()
	return foreign.ForwardBlocked(h, bridge)
}

// author guesses whose chain it is by what stands beside it.
func (p *Patient) author(text string) string {
	for _, c := range p.Chains {
		if c.Hook != "forward" || !strings.Contains(text, c.String()) {
			continue
		}
		return p.owner(c)
	}
	return "an administrator"
}

func (p *Patient) owner(c node.Chain) string {
	beside := func(prefix string) bool {
		return slices.ContainsFunc(p.Chains, func(o node.Chain) bool {
			return o.Family == c.Family && o.Table == c.Table && strings.HasPrefix(o.Name, prefix)
		})
	}
	switch {
	case c.Table == "firewalld":
		return "firewalld"
	case beside("DOCKER"):
		return "Docker"
	case beside("ufw"):
		return "ufw"
	case beside("KUBE-"):
		return "kube-proxy or kubelet"
	case c.Table == "filter":
		return "iptables-nft"
	}
	return "an administrator"
}

// place is "family table chain" of the chain that the text names; "" where it is none
// of nf_tables.
func (p *Patient) place(text string) string {
	for _, c := range p.Chains {
		if c.Hook == "forward" && strings.Contains(text, c.String()) {
			return fmt.Sprintf("%s %s %s", c.Family, c.Table, c.Name)
		}
	}
	return ""
}

func blockedLegacy(p *Patient) []symptom {
	if len(p.gateways()) == 0 {
		return nil
	}
	for _, ipv6 := range []bool{false, true} {
		rules := node.Legacy(ipv6, "filter")
		if !strings.Contains(rules, ":FORWARD DROP") {
			continue
		}
		var missing []string
		for _, b := range p.bridges() {
			if !strings.Contains(rules, "-i "+b.Name+" ") {
				missing = append(missing, b.Name)
			}
		}
		if len(missing) > 0 {
			program := map[bool]string{false: "iptables-legacy", true: "ip6tables-legacy"}[ipv6]
			return one(fmt.Sprintf("%s -I FORWARD -i %s -j ACCEPT; %s -I FORWARD -o %s -j ACCEPT", program, missing[0], program, missing[0]),
				"%s: policy of chain FORWARD is DROP, and no rule names %s", program, strings.Join(missing, ", "))
		}
	}
	return nil
}

func firewalld(p *Patient) []symptom {
	var table []node.Chain
	for _, c := range p.Chains {
		if c.Table == "firewalld" {
			table = append(table, c)
		}
	}
	if len(table) == 0 {
		return nil
	}
	var list []symptom
	for _, b := range p.bridges() {
		if !slices.ContainsFunc(table, func(c node.Chain) bool { return c.Mentions(b.Name) }) {
			list = append(list, one(fmt.Sprintf("firewall-cmd --permanent --zone=trusted --add-interface=%s && firewall-cmd --reload && bridgeport repair", b.Name),
				"table inet firewalld has no rule for %s", b.Name)...)
		}
	}
	return list
}

func ufw(p *Patient) []symptom {
	i := slices.IndexFunc(p.Chains, func(c node.Chain) bool { return c.Name == "ufw-before-forward" || c.Name == "ufw-user-forward" })
	if i < 0 {
		return nil
	}
	var list []symptom
	for _, b := range p.bridges() {
		named := slices.ContainsFunc(p.Chains, func(c node.Chain) bool {
			return c.Table == p.Chains[i].Table && c.Mentions(b.Name)
		})
		if !named {
			list = append(list, one(fmt.Sprintf("ufw route allow in on %s && ufw route allow out on %s", b.Name, b.Name),
				"ufw's chains are loaded (%s), and none has a rule for %s", p.Chains[i], b.Name)...)
		}
	}
	return list
}

func brNetfilter(p *Patient) []symptom {
	if node.Sysctl("net/bridge/bridge-nf-call-iptables") != "1" {
		return nil
	}
	for _, w := range p.Networks {
		if p.Link(w.Bridge) == nil {
			continue
		}
		if err := p.forwardBlocked(w.Bridge); err != nil {
			return one("sysctl -w net.bridge.bridge-nf-call-iptables=0 (Kubernetes wants 1: then accept the bridge as forward-policy says)",
				"net.bridge.bridge-nf-call-iptables is 1, and %v", err)
		}
	}
	return nil
}
