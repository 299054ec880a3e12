package attachment

import (
	"cmp"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/portmap"
)

// Request is the call of one plugin, as libcni would make it: the list's name and
// version, what the plugin's capabilities let through, and the previous result.
func Request(n *node.Network, p node.Plugin, call node.Call, command string, prev json.RawMessage) (*cni.Request, error) {
	conf := make(map[string]any)
	for k, v := range p.Raw {
		conf[k] = v
	}
	conf["name"], conf["cniVersion"] = n.Name, n.CNIVersion
	runtime, _ := conf["runtimeConfig"].(map[string]any)
	for capability, on := range p.Capabilities {
		if data, ok := call.CapabilityArgs[capability]; on && ok {
			if runtime == nil {
				runtime = make(map[string]any)
			}
			runtime[capability] = data
		}
	}
	if runtime != nil {
		conf["runtimeConfig"] = runtime
	}
	if len(prev) > 0 {
		conf["prevResult"] = prev
	}
	text, err := json.Marshal(conf)
	if err != nil {
		return nil, err
	}
	var args []string
	for _, a := range call.CNIArgs {
		args = append(args, a[0]+"="+a[1])
	}
	return cni.Read([]string{
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.NetNS,
		"CNI_IFNAME=" + call.IfName, "CNI_ARGS=" + strings.Join(args, ";"),
	}, strings.NewReader(string(text)))
}

// With hands the plan of each of our plugins to fn, by the cached configuration and
// result: what CHECK would compare.
func (a *Attachment) With(fn func(*plan.Session, plan.Plan) error) (err error) {
	if a.Cached == nil {
		return errors.New("libcni's cache does not know it")
	}
	ns, err := netns.Open(a.Netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	h, err := plan.Open(ns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	net, err := node.ParseNetwork(a.Cached.Config)
	if err != nil {
		return fmt.Errorf("cached configuration: %w", err)
	}
	for _, p := range net.Plugins {
		expected := map[string]func(*cni.Request, *plan.Session) (plan.Plan, error){
			"bridge": bridge.Expected, "portmap": portmap.Expected,
		}[p.Type]
		if expected == nil {
			continue
		}
		req, err := Request(&net, p, a.Cached.Call, "ADD", a.Cached.RawResult)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Type, err)
		}
		plan, err := expected(req, h)
		if err != nil {
			return fmt.Errorf("%s: %w", p.Type, err)
		}
		if err := fn(h, plan); err != nil {
			return err
		}
	}
	return nil
}

// checked compares the attachment with its plan, as CHECK does.
func (a *Attachment) checked() (notes []string) {
	err := a.With(func(h *plan.Session, p plan.Plan) error {
		if err := p.Check(h); err != nil {
			notes = append(notes, strings.Split(err.Error(), "\n")...)
		}
		return nil
	})
	if err != nil {
		notes = append(notes, err.Error())
	}
	return unique(notes)
}

func unique(list []string) (out []string) {
	seen := make(map[string]bool)
	for _, s := range list {
		if !seen[s] {
			seen[s] = true
			out = append(out, s)
		}
	}
	return out
}

// wished are the ports that the runtime asked for, where no rule of our table tells
// them: of the iptables backend, or lost.
func (a *Attachment) wished() (list []Port) {
	if a.Cached == nil {
		return nil
	}
	raw, err := json.Marshal(a.Cached.CapabilityArgs["portMappings"])
	var wishes []struct {
		HostPort, ContainerPort int
		Protocol, HostIP        string
		AllowFrom               []string
	}
	if err != nil || json.Unmarshal(raw, &wishes) != nil {
		return nil
	}
	backend := "missing"
	var network []string // what the network's configuration allows
	for _, p := range a.Cached.Plugins {
		if list, ok := p.Raw["allowFrom"].([]any); ok {
			network = []string{}
			for _, text := range list {
				network = append(network, fmt.Sprint(text))
			}
		}
		if p.Type == "portmap" && p.Backend == "iptables" || p.Raw["markMasqBit"] != nil || p.Raw["externalSetMarkChain"] != nil {
			backend = "iptables"
		}
	}
	for _, w := range wishes {
		to := a.Addr(!strings.Contains(w.HostIP, ":"))
		if !to.IsValid() && len(a.Addresses) > 0 {
			to, _ = netip.ParseAddr(a.Addresses[0]) // an address by its own making
		}
		if w.AllowFrom == nil {
			w.AllowFrom = network
		}
		list = append(list, Port{
			AllowFrom: w.AllowFrom,
			HostIP:    w.HostIP, Protocol: cmp.Or(strings.ToLower(w.Protocol), "tcp"), HostPort: uint16(w.HostPort), Backend: backend,
			Container: netip.AddrPortFrom(to, uint16(w.ContainerPort)).String(),
		})
	}
	return list
}
