package attachment

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Step is what one plugin of a list would do.
type Step struct {
	Plugin   string `json:"plugin"`
	About    string `json:"about"`
	Commands string `json:"commands,omitempty"`
}

// Plan is what an ADD would do. given are addresses for an IPAM plugin that can't be asked without leasing one.
func Plan(net *node.Network, call node.Call, given []string) (steps []Step, err error) {
	if err := node.Privileged(); err != nil {
		return nil, err
	}
	h, err := plan.Open(nil)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	var draft *bridge.Draft
	for _, p := range net.Plugins {
		req, err := node.Request(net, p, call, "ADD", nil)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", p.Type, err)
		}
		switch {
		case p.Kind() == "bridge":
			var leased *current.Result
			if leased, err = nextLease(req, net, p, given, &steps); err != nil {
				return nil, err
			}
			if draft, err = bridge.Planned(req, h, leased); err != nil {
				return nil, err
			}
			steps = append(steps, Step{"bridge", "bridge: container " + call.ContainerID + ", interface " + call.IfName, Missing(h, draft.Plan, steps)})
		case p.Kind() == "portmap" && draft != nil:
			pub, err := publish.Parse(req)
			if err != nil {
				return nil, err
			}
			ports, err := pub.PlanBehind(draft.Addrs, draft.Out)
			if err != nil {
				return nil, err
			}
			about := map[bool]string{true: "published ports", false: "no ports are asked for (--port)"}[ports.String() != ""]
			steps = append(steps, Step{"portmap", "portmap: " + about, Missing(h, ports, steps)})
		default:
			steps = append(steps, Step{p.Type, p.Type + ": not ours, not planned", ""})
		}
	}
	return steps, nil
}

// nextLease is the result that the IPAM plugin would give.
func nextLease(req *cni.Request, net *node.Network, p node.Plugin, given []string, steps *[]Step) (*current.Result, error) {
	res := &current.Result{CNIVersion: current.ImplementedSpecVersion}
	if p.IPAM.Type == "" {
		return res, nil
	}
	if !p.Leases() {
		for _, text := range given {
			prefix, err := netip.ParsePrefix(text)
			if err != nil {
				return nil, fmt.Errorf("--ip: %q is not an address with the length of its subnet", text)
			}
			res.IPs = append(res.IPs, &current.IPConfig{Address: cni.IPNet(prefix)})
		}
		about := p.IPAM.Type + ": not asked, since asking takes an address"
		if len(given) == 0 {
			about += "; --ip 192.0.2.7/24 plans with one"
		}
		*steps = append(*steps, Step{p.IPAM.Type, about, ""})
		return res, nil
	}
	conf, err := lease.Parse(req)
	if err != nil {
		return nil, err
	}
	leases, err := lease.Next(conf, net.Name)
	if err != nil {
		return nil, err
	}
	var commands []string
	for _, l := range leases {
		commands = append(commands, lease.Command(conf.DataDir, net.Name, lease.Owner{ContainerID: req.ContainerID, IfName: req.IfName}, l.Addr))
	}
	*steps = append(*steps, Step{"host-local", "host-local: the next address of each range set", strings.Join(commands, "\n")})
	return conf.Result(leases), nil
}

// Commands are what a person would type to make the object as it is to be. A chain that is as it is to be
// is left out, another one that exists is filled anew. A link that exists is set, not added.
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

// MendingCommands mend an object of which a part may be there, in the attachment's own namespace.
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

// Missing is a plan's commands, but for shared objects that are as they are to be and what an earlier plugin has.
func Missing(s *plan.Session, p plan.Plan, before []Step) string {
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

// Egress is the rules about where the attachment may send, for people.
func (a *Attachment) Egress() (lines []string) {
	err := a.With(func(_ *plan.Session, p plan.Plan) error {
		for _, o := range p.Objects() {
			if e, ok := o.(firewall.Egress); ok && e.Policy != nil {
				lines = e.Policy.Lines()
			}
		}
		return nil
	})
	if err != nil {
		return []string{"not known: " + err.Error()}
	}
	return lines
}
