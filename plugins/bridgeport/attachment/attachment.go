// Package attachment joins what links, rules, leases and libcni's cache tell of attachments, and judges them.
package attachment

import (
	"cmp"
	"fmt"
	"maps"
	"math"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// States of an attachment.
const (
	OK      = "ok"
	Drift   = "drift"   // alive, but not as its ADD made it
	Orphan  = "orphan"  // dead: something is left of it
	Doubt   = "unsure"  // no sign of life, but no proof of death either
	Foreign = "foreign" // alive, made by another implementation of the plugin
)

// Attachment is one container's interface in one network.
type Attachment struct {
	Network   string       `json:"network"`
	Container string       `json:"container"`
	IfName    string       `json:"ifName"`
	Pod       string       `json:"pod,omitempty"`
	State     string       `json:"state"`
	Findings  plan.Drift   `json:"findings,omitempty"` // why the state is not ok
	Notes     []string     `json:"notes,omitempty"`    // the same for people
	Netns     string       `json:"netns,omitempty"`
	Addresses []netip.Addr `json:"addresses"`
	Bridge    string       `json:"bridge,omitempty"`
	Link      string       `json:"hostLink,omitempty"`
	MAC       string       `json:"mac,omitempty"`
	MTU       int          `json:"mtu,omitempty"`
	Ports     []Port       `json:"ports,omitempty"`
	Since     *time.Time   `json:"since,omitempty"`
	Traffic   Traffic      `json:"traffic"`
	Left      []string     `json:"left,omitempty"` // of an orphan: what exists
	Tag       string       `json:"tag"`

	Cached   *node.Cached  `json:"-"`
	Host     *node.Link    `json:"-"` // the host's end
	Inner    *node.Link    `json:"-"` // the container's end; nil if it can't be seen
	Inside   *node.Node    `json:"-"` // links and routes in the container; nil as above
	Leases   []node.Lease  `json:"-"`
	Elements []nft.Element `json:"-"`
}

// Traffic is what the container has received and sent since its link was made.
type Traffic struct {
	RxBytes   uint64 `json:"rxBytes"`
	TxBytes   uint64 `json:"txBytes"`
	RxPackets uint64 `json:"rxPackets"`
	TxPackets uint64 `json:"txPackets"`
}

// Port is one published port.
type Port struct {
	HostIP    netip.Addr     `json:"hostIP,omitzero"` // invalid for every address of the host
	Protocol  string         `json:"protocol"`
	HostPort  uint16         `json:"hostPort"`
	Container netip.AddrPort `json:"container"`
	Backend   string         `json:"backend"` // whose rules: nftables, iptables, missing, or another implementation
	// AllowFrom are the clients that may use it; nil where everybody may.
	AllowFrom   []netip.Prefix `json:"allowFrom,omitempty"`
	Connections uint64         `json:"connections"` // since it was published
	// ByHand: `bridgeport publish` has added it, the runtime does not know it.
	ByHand bool `json:"byHand,omitempty"`
}

// Key is number and protocol: "8080/tcp".
func (p Port) Key() string { return node.PortKey(p.Protocol, p.HostPort) }

func (p Port) number() uint8 {
	n, _ := hostport.Protocol(p.Protocol)
	return n
}

// String is the port as `who` reads it, too: "8080→80/tcp", "192.0.2.1:53/udp".
func (p Port) String() string {
	text := hostport.Text(p.Protocol, p.HostIP, p.HostPort)
	if p.Container.Port() == p.HostPort {
		return text
	}
	return fmt.Sprintf("%s→%s", strings.TrimSuffix(text, "/"+p.Protocol), hostport.Text(p.Protocol, netip.Addr{}, p.Container.Port()))
}

// PortTexts are the ports as text, each once for both families.
func (a *Attachment) PortTexts() (list []string) {
	for _, p := range a.Ports {
		text := p.String()
		if p.ByHand {
			text += " (added by hand)"
		}
		if !slices.Contains(list, text) {
			list = append(list, text)
		}
	}
	return list
}

// Is says whether a person may call the attachment so: by its container, the beginning of a long
// ID, or its pod.
func (a *Attachment) Is(word string) bool {
	return a.Pod == word || len(word) >= 6 && strings.HasPrefix(a.Container, word) || a.Container == word
}

// isDigest says whether a container's ID is one that no person has chosen.
func isDigest(id string) bool {
	return len(id) >= 32 && !strings.ContainsFunc(id, func(r rune) bool { return (r < '0' || r > '9') && (r < 'a' || r > 'f') })
}

// Label is the attachment's pod, or its container: a name that a person has chosen is whole, a
// digest is cut as container runtimes cut it.
func (a *Attachment) Label() string {
	if a.Pod == "" && isDigest(a.Container) {
		return a.Container[:12]
	}
	return cmp.Or(a.Pod, a.Container)
}

// Name is network/container/interface.
func (a *Attachment) Name() string { return a.Network + "/" + a.Container + "/" + a.IfName }

// Alive says whether the attachment is in use, as far as can be told.
func (a *Attachment) Alive() bool { return a.State == OK || a.State == Drift || a.State == Foreign }

// Addr is the first address of the family; invalid without one.
func (a *Attachment) Addr(is4 bool) netip.Addr {
	for _, addr := range a.Addresses {
		if addr.Is4() == is4 {
			return addr
		}
	}
	return netip.Addr{}
}

// Has says whether the address is the attachment's.
func (a *Attachment) Has(addr netip.Addr) bool { return slices.Contains(a.Addresses, addr) }

// OutLink is the host's link that leads to the attachment's address: the bridge, or the gateway of its VLAN.
func (a *Attachment) OutLink(n *node.Node, addr netip.Addr) string {
	if _, l := n.LinkTo(addr); l != nil {
		return l.Name
	}
	return a.Bridge
}

// Owner is who the attachment is to the kernel.
func (a *Attachment) Owner() plan.Owner {
	return plan.Owner{Network: a.Network, ContainerID: a.Container, IfName: a.IfName, Pod: a.Pod}
}

// named reads a label. One that was cut short gets no link's name, which tells it from a whole one.
func named(text string) (a Attachment, ok bool) {
	n, ok := label.Parse(text)
	a = Attachment{Tag: n.Tag, Network: n.Network, Container: n.Container, IfName: n.IfName, Pod: n.Pod}
	if ok && n.Container != "" && a.Owner().Tag() != a.Tag {
		a.Container, a.IfName = n.Container+"…", ""
	}
	return a, ok
}

// note adds to why the state is not ok.
func (a *Attachment) note(state string, list ...plan.Finding) {
	if len(list) > 0 {
		a.State, a.Findings = state, append(a.Findings, list...)
	}
}

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
	for _, c := range n.Networks {
		if c.Bad == nil && ours(c.Plugins) && found[c.Name] == nil {
			found[c.Name] = &Network{Name: c.Name, File: c.File}
			found[c.Name].configure(c.Plugins)
		}
	}
	for _, a := range list {
		w := cmp.Or(found[a.Network], &Network{Name: a.Network})
		found[a.Network] = w
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
func (w Network) Subnets() (list []netip.Prefix) {
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
