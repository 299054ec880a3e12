package attachment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// Network is a network with what its attachments use of it.
type Network struct {
	Name        string           `json:"name"`
	File        string           `json:"file,omitempty"` // "" where no configuration file names it
	Bridge      string           `json:"bridge,omitempty"`
	Gateways    []netip.Prefix   `json:"gateways,omitempty"`
	MTU         int              `json:"mtu,omitempty"`
	Attachments int              `json:"attachments"`
	Ports       int              `json:"ports"`
	Pools       []Pool           `json:"pools,omitempty"`
	DataDir     string           `json:"dataDir,omitempty"`
	Conf        *bridge.Conf     `json:"-"` // nil where not known, or without the plugin bridge
	Sets        []lease.RangeSet `json:"-"`
}

// Pool is one range set.
type Pool struct {
	Subnets []string `json:"subnets"`
	Range   string   `json:"range"`
	Used    int      `json:"used"`
	Size    float64  `json:"size"`
}

// Full is the part of the pool that is used, 0 to 1.
func (p Pool) Full() float64 {
	if p.Size <= 0 {
		return 1
	}
	return float64(p.Used) / p.Size
}

func (p Pool) String() string {
	if p.Size > 1e6 {
		return fmt.Sprintf("%d of 2^%.0f", p.Used, math.Log2(p.Size))
	}
	return fmt.Sprintf("%d of %.0f", p.Used, p.Size)
}

// Networks are those that configuration files or attachments name, sorted.
func Networks(n *node.Node, list []*Attachment) []Network {
	found := make(map[string]*Network)
	get := func(name string) *Network {
		if found[name] == nil {
			found[name] = &Network{Name: name}
		}
		return found[name]
	}
	for _, c := range n.Networks {
		if c.Bad == nil && ours(c.Plugins) && found[c.Name] == nil {
			w := get(c.Name)
			w.File = c.File
			w.configure(c.Plugins)
		}
	}
	for _, a := range list {
		w := get(a.Network)
		if a.State != Orphan {
			w.Attachments++
			w.Ports += len(a.Ports)
		}
		if w.Conf == nil && a.Cached != nil {
			w.configure(a.Cached.Plugins)
		}
		w.Bridge = cmp.Or(w.Bridge, a.Bridge)
	}
	var out []Network
	for _, name := range slices.Sorted(maps.Keys(found)) {
		w := found[name]
		if w.Name == "" {
			continue // an element whose comment was cut
		}
		w.look(n)
		out = append(out, *w)
	}
	return out
}

func (w *Network) configure(list []node.Plugin) {
	for _, p := range list {
		if p.Bridge != nil && w.Conf == nil {
			w.Conf, w.Bridge = p.Bridge, p.Bridge.Bridge
		}
		if p.Lease != nil && w.Sets == nil {
			w.Sets, w.DataDir = p.Lease.Sets, p.Lease.DataDir
		}
	}
}

// look counts leases, and reads the bridge.
func (w *Network) look(n *node.Node) {
	if l := n.Link(w.Bridge); l != nil && w.Bridge != "" {
		w.MTU = l.MTU
		for _, a := range l.Addrs {
			if !a.Addr().IsLinkLocalUnicast() {
				w.Gateways = append(w.Gateways, a)
			}
		}
	}
	for _, set := range w.Sets {
		p := Pool{Size: set.Room(), Range: set.String()}
		for _, r := range set {
			p.Subnets = append(p.Subnets, r.Subnet.String())
		}
		for _, l := range n.Leases {
			if l.Network == w.Name && l.Dir == w.DataDir && set.Has(l.Addr) {
				p.Used++
			}
		}
		w.Pools = append(w.Pools, p)
	}
}

// Has says whether the network has a subnet of the family.
func (w Network) Has(is4 bool) bool {
	return slices.ContainsFunc(w.Subnets(), func(p netip.Prefix) bool { return p.Addr().Is4() == is4 })
}

// Subnets are the network's, by its pools, else by its bridge's addresses.
func (w Network) Subnets() []netip.Prefix {
	var list []netip.Prefix
	for _, set := range w.Sets {
		for _, r := range set {
			list = append(list, r.Subnet)
		}
	}
	if list == nil {
		for _, g := range w.Gateways {
			list = append(list, g.Masked())
		}
	}
	return list
}
