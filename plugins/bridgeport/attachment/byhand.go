package attachment

import (
	"encoding/json"
	"fmt"
	"maps"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

const portMappings = "portMappings" // the capability, and the key in the call

// publisher is the plugin of the attachment's list that publishes ports; portmap without options where
// none does.
func (a *Attachment) publisher() node.Plugin {
	i := slices.IndexFunc(a.Cached.Plugins, func(p node.Plugin) bool {
		return p.Capabilities[portMappings] && (p.Kind() == "bridge" || p.Kind() == "portmap")
	})
	if i >= 0 {
		return a.Cached.Plugins[i]
	}
	return node.Plugin{
		Type: "portmap", Capabilities: map[string]bool{portMappings: true},
		Raw: map[string]json.RawMessage{"type": json.RawMessage(`"portmap"`)},
	}
}

// ByHand hands the plan of ports beside those of ADD to fn: what an ADD that was asked for these alone
// would make. A port that the attachment has already is an error.
func (a *Attachment) ByHand(mappings []map[string]any, fn func(*plan.Session, plan.Plan) error) error {
	call := a.asking(mappings)
	req, err := node.Request(&a.Cached.Network, a.publisher(), call, "ADD", a.Cached.RawResult)
	if err != nil {
		return err
	}
	asked, err := publish.Parse(req)
	if err != nil {
		return err
	}
	prev, err := req.Prev()
	if err != nil {
		return err
	}
	addrs := cni.Addresses(prev, a.IfName)
	if len(addrs) == 0 {
		return fmt.Errorf("%s has no address that a port could lead to", a.Name())
	}
	ports, _, err := asked.Ports(addrs)
	if err != nil {
		return err
	}
	for _, m := range ports {
		i := slices.IndexFunc(a.Ports, func(p Port) bool {
			return p.number() == m.Protocol && m.Holds(p.HostPort) && p.HostIP == m.HostIP && p.Container.Addr().Is4() == m.Container.Addr().Is4()
		})
		if i >= 0 {
			return fmt.Errorf("%s is published by %s already: it leads to port %d", a.Ports[i].Key(), a.Name(), a.Ports[i].Container.Port())
		}
	}
	return plan.With(nil, func(s *plan.Session) error {
		p, err := asked.ByHand(s, addrs)
		if err != nil {
			return err
		}
		return fn(s, p)
	})
}

// asking is the attachment's call with these ports.
func (a *Attachment) asking(mappings any) node.Call {
	call := a.Cached.Call
	call.NetNS = a.Netns // libcni before 1.2 does not write it
	call.CapabilityArgs = maps.Clone(call.CapabilityArgs)
	if call.CapabilityArgs == nil {
		call.CapabilityArgs = make(map[string]any)
	}
	call.CapabilityArgs[portMappings] = mappings
	return call
}

// all is the attachment's call as if the runtime had asked for the ports that were added by hand, too.
func (a *Attachment) all() node.Call {
	list, _ := a.Cached.CapabilityArgs[portMappings].([]any)
	list = slices.Clone(list)
	for _, p := range a.Ports {
		if !p.ByHand {
			continue
		}
		host := p.HostIP
		if !host.IsValid() && p.Container.Addr().Is4() {
			host = netip.IPv4Unspecified()
		} else if !host.IsValid() {
			host = netip.IPv6Unspecified()
		}
		list = append(list, map[string]any{"hostIP": host.String(), "hostPort": p.HostPort, "containerPort": p.Container.Port(), "protocol": p.Protocol})
	}
	if len(list) == 0 {
		return a.Cached.Call
	}
	return a.asking(list)
}
