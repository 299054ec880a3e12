package doctor

import (
	"cmp"
	"fmt"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
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
		each((*Patient).bridges, func(p *Patient, b *node.Link) {
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
		})),
	fails("port-shadowed", "nobody else redirects a published port first",
		"connections to this port go where the other rule says, not to the container", func(p *Patient) {
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
		}),
	warns("port-listener", "no process of the host listens on a published port",
		"the published port wins: who connects from outside never reaches the process", func(p *Patient) {
			ports := p.published()
			for _, s := range node.Listeners() {
				a := ports[s.Key()]
				if a == nil {
					continue
				}
				if process := s.ProcessOf(); !keepsPorts(process) {
					p.tell("stop it, or publish another port: bridgeport who "+s.Key(), "%s listens on %s, which %s publishes", process, s.Addr, a.Name())
				}
			}
		}),
	warns("egress-idle", "each entry of egress can match a packet",
		"the entry allows or denies nothing: containers reach less, or more, than whoever wrote it thinks", each(networks, idleEgress)),
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

// idleEgress looks for entries that can't match. Names are asked for where a container may use them.
func idleEgress(p *Patient, w attachment.Network) {
	if w.Conf == nil {
		return
	}
	_ = plan.With(nil, func(s *plan.Session) error { // the check of nf_tables tells
		rules, err := s.Rules()
		if err != nil {
			return err
		}
		names := func(word string) bool {
			has, err := rules.Named(word)
			return has || err != nil || w.Attachments == 0
		}
		for _, text := range w.Conf.IdleEgress(w.Has(true), w.Has(false), names) {
			p.tell("correct "+cmp.Or(w.File, "the network's configuration")+", or let a resolver fill the set: conf/sandbox shows how", "%s: %s", w.Name, text)
		}
		return nil
	})
}

// keepsPorts says whether a process, "sleep[1234]", listens for a runtime that keeps ports from
// others while a container has them: podman's conmon, CRI-O, nerdctl's sleep, which serves nobody.
func keepsPorts(process string) bool {
	name, _, _ := strings.Cut(process, "[")
	return slices.Contains([]string{"conmon", "crio", "sleep"}, name)
}

func chains(p *Patient) []node.Chain { return p.Chains }

// wants says whether any living attachment needs our table.
func (p *Patient) wants() bool {
	return len(p.Rules) > 0 || slices.ContainsFunc(p.alive(), func(a *attachment.Attachment) bool {
		return a.State != attachment.Foreign && a.Cached != nil && slices.ContainsFunc(a.Cached.Plugins, node.Plugin.Masquerades)
	})
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

var forwardChecks = []Check{
	fails("ip-forward", "the host forwards IPv4",
		"containers reach the host, but nothing beyond it, and published ports time out", forwarding(true)),
	fails("ip6-forward", "the host forwards IPv6",
		"containers reach nothing beyond the host by IPv6", forwarding(false)),
	fails("forward-policy", "nobody's nftables rules drop what bridges forward",
		"packets from and to containers are dropped at the forward hook, where every table has a veto",
		each((*Patient).gateways, func(p *Patient, w attachment.Network) {
			if w.Conf.ForwardAccept {
				return
			}
			for _, b := range p.blockers(w.Bridge) {
				if b.Legacy == "" { // of iptables-legacy the next check tells
					p.tell(fmt.Sprintf("%[1]s iifname %[2]s accept; %[1]s oifname %[2]s accept   # for ever: \"forwardAccept\": true in %[3]s",
						fmt.Sprintf("nft insert rule %s %s %s", b.Family, b.Table, b.Chain), w.Bridge, cmp.Or(w.File, "the network's configuration")),
						"network %s: %s drops what no rule accepts, and none accepts packets of bridge %s (set by %s)", w.Name, b, w.Bridge, p.author(b))
				}
			}
		})),
	fails("forward-ports", "others' nftables rules let published ports through",
		"connections to this port are dropped at the forward hook, though other packets of the bridge pass", blockedPorts),
	fails("forward-legacy", "iptables-legacy does not drop what bridges forward",
		"packets from and to containers are dropped by rules that `nft list ruleset` does not show",
		each((*Patient).gateways, func(p *Patient, w attachment.Network) {
			for _, b := range p.blockers(w.Bridge) {
				if b.Legacy != "" {
					p.tell(fmt.Sprintf("%[1]s -I FORWARD -i %[2]s -j ACCEPT; %[1]s -I FORWARD -o %[2]s -j ACCEPT", b.Legacy, w.Bridge),
						"%s drops what no rule accepts, and none accepts packets of bridge %s", b, w.Bridge)
				}
			}
		})),
	warns("firewalld", "firewalld knows the bridges",
		"firewalld puts an unknown link into its default zone, which rejects what containers ask of the host, and the next reload may cut them off",
		knows(func(c node.Chain) bool { return c.Table == "firewalld" },
			"firewall-cmd --permanent --zone=trusted --add-interface=NAME && firewall-cmd --reload && bridgeport repair")),
	warns("ufw", "ufw lets bridges through", "ufw drops forwarded packets by default, and asks again after each reload",
		knows(func(c node.Chain) bool { return c.Name == "ufw-before-forward" || c.Name == "ufw-user-forward" },
			"ufw route allow in on NAME && ufw route allow out on NAME")),
	fails("br-netfilter", "bridged packets do not pass a dropping firewall",
		"containers on the same bridge can't reach each other: br_netfilter hands bridged packets to the forward hook, which drops them", func(p *Patient) {
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
		}),
}

func forwarding(is4 bool) func(*Patient) {
	return func(p *Patient) {
		keys := []string{node.ForwardKey(is4)}
		for _, u := range p.Uplinks() {
			if is4 { // with IPv6 the link's own setting does not count (ip6_forward)
				keys = append(keys, "net/ipv4/conf/"+u.Name+"/forwarding")
			}
		}
		needs := slices.IndexFunc(p.gateways(), func(w attachment.Network) bool { return w.Attachments > 0 && w.Has(is4) }) // ADD turns it on
		for _, key := range keys {
			if needs >= 0 && node.Sysctl(key) == "0" {
				key = strings.ReplaceAll(key, "/", ".")
				p.tell("sysctl -w "+key+"=1", "%s is 0, but network %s needs it", key, p.gateways()[needs].Name)
				return
			}
		}
	}
}

// blockers are the chains that drop what a bridge forwards.
func (p *Patient) blockers(bridge string) (list []foreign.Blocker) {
	if p.Link(bridge) == nil {
		return nil
	}
	_ = plan.With(nil, func(s *plan.Session) (err error) { // the check of nf_tables tells
		list, err = foreign.Blockers(s, bridge)
		return err
	})
	return list
}

// author guesses whose chain it is by what stands beside it.
func (p *Patient) author(c foreign.Blocker) string {
	if c.Table == "firewalld" {
		return "firewalld"
	}
	for _, a := range []struct{ prefix, name string }{{"DOCKER", "Docker"}, {"ufw", "ufw"}, {"KUBE-", "kube-proxy or kubelet"}} {
		if slices.ContainsFunc(p.Chains, func(o node.Chain) bool {
			return o.Family == c.Family && o.Table == c.Table && strings.HasPrefix(o.Name, a.prefix)
		}) {
			return a.name
		}
	}
	if c.Table == "filter" {
		return "iptables-nft"
	}
	return "an administrator"
}

// knows asks whether the table of a firewall, by its chain, has rules for each bridge. NAME in the fix is the bridge.
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

var hostChecks = []Check{
	fails("ipv6-ra", "forwarding does not cost the host its IPv6 route",
		"the host's own IPv6 default route comes from router advertisements, which a host that forwards ignores: it is lost when it expires",
		func(p *Patient) {
			const protocolRA = 9 // RTPROT_RA
			if node.Sysctl(node.ForwardKey(false)) == "0" {
				return
			}
			for _, u := range p.Uplinks() {
				advertised := slices.ContainsFunc(p.Routes, func(r node.Route) bool {
					return r.Link == u.Index && r.Dst.Bits() == 0 && !r.Dst.Addr().Is4() && r.Protocol == protocolRA
				})
				if advertised && node.Sysctl("net/ipv6/conf/"+u.Name+"/accept_ra") == "1" {
					p.tell("sysctl -w net.ipv6.conf."+u.Name+".accept_ra=2",
						"net.ipv6.conf.all.forwarding is on, and %s has accept_ra 1 and a default route by router advertisement", u.Name)
					return
				}
			}
		}),
	warns("reply-uplink", "replies of published ports leave by the link that the request came in by",
		"who uses the port by this address of the host gets no answer: most networks drop a packet with the address of another link", replies),
	warns("rp-filter", "strict reverse path filtering does not drop replies",
		"with several ways the kernel drops packets that come in by another one than replies would take", func(p *Patient) {
			p.strictBridges()
			if len(p.Uplinks()) < 2 {
				return
			}
			for _, u := range p.Uplinks() {
				for _, key := range []string{"all", u.Name} {
					if node.Sysctl("net/ipv4/conf/"+key+"/rp_filter") == "1" {
						p.tell("sysctl -w net.ipv4.conf."+key+".rp_filter=2",
							"there are %d ways out, and net.ipv4.conf.%s.rp_filter is 1 (strict)", len(p.Uplinks()), key)
						return
					}
				}
			}
		}),
	fails("conntrack-full", "the table of connections has room",
		"new connections are dropped at random, on the whole host (`dmesg`: table full, dropping packet)", func(p *Patient) {
			used, _ := strconv.Atoi(node.Sysctl("net/netfilter/nf_conntrack_count")) // 0 without conntrack
			total, _ := strconv.Atoi(node.Sysctl("net/netfilter/nf_conntrack_max"))
			if total > 0 && used*10 >= total*8 {
				p.tell(fmt.Sprintf("sysctl -w net.netfilter.nf_conntrack_max=%d   # in the host's own namespace", total*4),
					"%d of %d connections are in the table", used, total)
			}
		}),
}
