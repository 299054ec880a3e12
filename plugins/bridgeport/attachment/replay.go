package attachment

import (
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/portmap"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// With hands the plan of each of our plugins to fn, by the cached configuration and
// result: what CHECK would compare.
func (a *Attachment) With(fn func(*plan.Session, plan.Plan) error) error {
	if a.Cached == nil {
		return errors.New("libcni's cache does not know it")
	}
	ns, err := netns.Open(a.Netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	return plan.With(ns, func(s *plan.Session) error { return a.plans(s, fn) })
}

func (a *Attachment) plans(s *plan.Session, fn func(*plan.Session, plan.Plan) error) error {
	net, err := node.ParseNetwork(a.Cached.Config)
	if err != nil {
		return fmt.Errorf("cached configuration: %w", err)
	}
	call := a.Cached.Call
	call.NetNS = a.Netns // libcni before 1.2 does not write it
	for _, p := range net.Plugins {
		expected := map[string]func(*cni.Request, *plan.Session) (plan.Plan, error){
			"bridge": bridge.Expected, "portmap": portmap.Expected,
		}[p.Type]
		if expected == nil {
			continue
		}
		req, err := node.Request(&net, p, call, "ADD", a.Cached.RawResult)
		var made plan.Plan
		if err == nil {
			made, err = expected(req, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.Type, err)
		}
		if err := fn(s, made); err != nil {
			return err
		}
	}
	return nil
}

// checked compares the attachment with its plan, as CHECK does.
func (a *Attachment) checked() plan.Drift {
	var errs []error
	err := a.With(func(s *plan.Session, p plan.Plan) error {
		errs = append(errs, p.Check(s))
		return nil
	})
	return plan.Findings(errors.Join(append(errs, err)...))
}

// missingRules is the backend of a port without an element in our table.
const missingRules = "missing"

// wished are the ports that the runtime asked for, as rules of iptables or as if their
// elements were lost. Those that ADD would reject are left out.
func (a *Attachment) wished() (list []Port) {
	if a.Cached == nil {
		return nil
	}
	var addrs []netip.Prefix
	for _, addr := range a.Addresses {
		addrs = append(addrs, netip.PrefixFrom(addr, addr.BitLen()))
	}
	network := node.Network{Name: a.Network, CNIVersion: current.ImplementedSpecVersion}
	for _, p := range a.Cached.Plugins {
		req, err := node.Request(&network, p, a.Cached.Call, "DEL", nil)
		if err != nil || !p.Capabilities["portMappings"] {
			continue
		}
		asked, err := publish.Parse(req)
		if err != nil {
			continue
		}
		ports, byIPTables, _ := asked.Ports(addrs) // none where an address is missing
		backend := map[bool]string{true: "iptables", false: missingRules}[byIPTables]
		for _, w := range ports {
			w.Each(func(hostPort uint16, to netip.AddrPort) {
				port := Port{HostIP: w.HostIP, Protocol: hostport.ProtocolName(w.Protocol), HostPort: hostPort, Container: to, Backend: backend}
				if w.Allow != nil {
					port.AllowFrom = w.Allow.From
				}
				list = append(list, port)
			})
		}
	}
	return list
}
