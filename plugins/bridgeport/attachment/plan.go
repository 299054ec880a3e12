package attachment

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
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

// Plan is what an ADD would do, with nothing changed. given are addresses for an IPAM
// plugin that can't be asked without leasing one.
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
		case p.Type == "bridge":
			var leased *current.Result
			if leased, err = nextLease(req, net, p, given, &steps); err != nil {
				return nil, err
			}
			if draft, err = bridge.Planned(req, h, leased); err != nil {
				return nil, err
			}
			steps = append(steps, Step{"bridge", "bridge: container " + call.ContainerID + ", interface " + call.IfName, missing(h, draft.Plan, steps)})
		case p.Type == "portmap" && draft != nil:
			pub, err := publish.Parse(req)
			if err != nil {
				return nil, err
			}
			ports, err := pub.PlanBehind(draft.Addrs, draft.Out)
			if err != nil {
				return nil, err
			}
			about := map[bool]string{true: "published ports", false: "no ports are asked for (--port)"}[ports.String() != ""]
			steps = append(steps, Step{"portmap", "portmap: " + about, missing(h, ports, steps)})
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
	if p.IPAM.Type != "host-local" {
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
