package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func forwardChecks() []Check {
	return []Check{
		fails("ip-forward", "the host forwards IPv4",
			"containers reach the host, but nothing beyond it, and published ports time out", forwarding(true, "net/ipv4/ip_forward")),
		fails("ip6-forward", "the host forwards IPv6",
			"containers reach nothing beyond the host by IPv6", forwarding(false, "net/ipv6/conf/all/forwarding")),
		fails("forward-policy", "nobody's nftables rules drop what bridges forward",
			"packets from and to containers are dropped at the forward hook, where every table has a veto", blocked),
		fails("forward-legacy", "iptables-legacy does not drop what bridges forward",
			"packets from and to containers are dropped by rules that `nft list ruleset` does not show", blockedLegacy),
		warns("firewalld", "firewalld knows the bridges",
			"firewalld puts an unknown link into its default zone, which rejects what containers ask of the host, and the next reload may cut them off",
			knows(func(c node.Chain) bool { return c.Table == "firewalld" },
				"firewall-cmd --permanent --zone=trusted --add-interface=NAME && firewall-cmd --reload && bridgeport repair")),
		warns("ufw", "ufw lets bridges through",
			"ufw drops forwarded packets by default, and asks again after each reload",
			knows(func(c node.Chain) bool { return c.Name == "ufw-before-forward" || c.Name == "ufw-user-forward" },
				"ufw route allow in on NAME && ufw route allow out on NAME")),
		fails("br-netfilter", "bridged packets do not pass a dropping firewall",
			"containers on the same bridge can't reach each other: br_netfilter hands bridged packets to the forward hook, which drops them", brNetfilter),
	}
}

func forwarding(is4 bool, key string) func(*Patient) {
	return func(p *Patient) {
		if node.Sysctl(key) != "0" {
			return
		}
		// ADD turns it on.
		i := slices.IndexFunc(p.gateways(), func(w attachment.Network) bool { return w.Attachments > 0 && w.Has(is4) })
		if key := strings.ReplaceAll(key, "/", "."); i >= 0 {
			p.tell("sysctl -w "+key+"=1", "%s is 0, but network %s needs it", key, p.gateways()[i].Name)
		}
	}
}

// blockers are the chains that drop what a bridge forwards.
func (p *Patient) blockers(bridge string) (list []foreign.Blocker) {
	if p.Link(bridge) == nil {
		return nil
	}
	_ = session(func(s *plan.Session) (err error) { // the check of nf_tables tells
		list, err = foreign.Blockers(s, bridge)
		return err
	})
	return list
}

func blocked(p *Patient) {
	for _, w := range p.gateways() {
		if w.Conf.ForwardAccept {
			continue
		}
		for _, b := range p.blockers(w.Bridge) {
			if b.Legacy == "" { // of iptables-legacy the next check tells
				rule := fmt.Sprintf("nft insert rule %s %s %s", b.Family, b.Table, b.Chain)
				p.tell(fmt.Sprintf("%s iifname %s accept; %s oifname %s accept   # for ever: \"forwardAccept\": true in %s", rule, w.Bridge, rule, w.Bridge, cmp.Or(w.File, "the network's configuration")),
					"network %s: %s drops what no rule accepts, and none accepts packets of bridge %s (set by %s)", w.Name, b, w.Bridge, p.author(b))
			}
		}
	}
}

// author guesses whose chain it is by what stands beside it.
func (p *Patient) author(c foreign.Blocker) string {
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

func blockedLegacy(p *Patient) {
	for _, w := range p.gateways() {
		for _, b := range p.blockers(w.Bridge) {
			if b.Legacy != "" {
				p.tell(fmt.Sprintf("%s -I FORWARD -i %s -j ACCEPT; %s -I FORWARD -o %s -j ACCEPT", b.Legacy, w.Bridge, b.Legacy, w.Bridge),
					"%s drops what no rule accepts, and none accepts packets of bridge %s", b, w.Bridge)
			}
		}
	}
}

// knows asks whether the table of a firewall, which has such a chain, has rules for each
// bridge. NAME in the fix stands for the bridge.
func knows(has func(node.Chain) bool, fix string) func(*Patient) {
	return func(p *Patient) {
		i := slices.IndexFunc(p.Chains, has)
		if i < 0 {
			return
		}
		for _, b := range p.bridges() {
			named := func(c node.Chain) bool { return c.Table == p.Chains[i].Table && c.Mentions(b.Name) }
			if !slices.ContainsFunc(p.Chains, named) {
				p.tell(strings.ReplaceAll(fix, "NAME", b.Name), "%s is loaded, and no rule of its table is for %s", p.Chains[i], b.Name)
			}
		}
	}
}

func brNetfilter(p *Patient) {
	if node.Sysctl("net/bridge/bridge-nf-call-iptables") != "1" {
		return
	}
	for _, b := range p.bridges() {
		if list := p.blockers(b.Name); len(list) > 0 {
			p.tell("sysctl -w net.bridge.bridge-nf-call-iptables=0   # Kubernetes wants 1: then accept the bridge as forward-policy says",
				"net.bridge.bridge-nf-call-iptables is 1, and %s drops packets of bridge %s", list[0], b.Name)
			return
		}
	}
}
