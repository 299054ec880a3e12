// Package attachment joins what a node knows of each attachment from links, rules,
// leases and libcni's cache, and judges its state.
package attachment

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
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
	Network   string     `json:"network"`
	Container string     `json:"container"`
	IfName    string     `json:"ifName"`
	Pod       string     `json:"pod,omitempty"`
	State     string     `json:"state"`
	Notes     []string   `json:"notes,omitempty"` // why the state is not ok
	Netns     string     `json:"netns,omitempty"`
	Addresses []string   `json:"addresses"`
	Bridge    string     `json:"bridge,omitempty"`
	Link      string     `json:"hostLink,omitempty"`
	MAC       string     `json:"mac,omitempty"`
	MTU       int        `json:"mtu,omitempty"`
	Ports     []Port     `json:"ports,omitempty"`
	Since     *time.Time `json:"since,omitempty"`
	Traffic   Traffic    `json:"traffic"`
	Left      []string   `json:"left,omitempty"` // of an orphan: what exists
	Tag       string     `json:"tag"`

	Cached   *node.Cached  `json:"-"`
	Host     *node.Link    `json:"-"` // the host's end
	Inner    *node.Link    `json:"-"` // the container's end; nil if it can't be seen
	Inside   *node.Inside  `json:"-"`
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
	HostIP    string `json:"hostIP,omitempty"` // "" for every address of the host
	Protocol  string `json:"protocol"`
	HostPort  uint16 `json:"hostPort"`
	Container string `json:"container"` // address and port
	Backend   string `json:"backend"`
	// AllowFrom are the clients that may use it; nil where everybody may.
	AllowFrom   []string `json:"allowFrom,omitempty"`
	Connections uint64   `json:"connections"` // since it was published
}

func (p Port) String() string {
	host := ""
	if p.HostIP != "" {
		host = p.HostIP + ":"
		if strings.Contains(p.HostIP, ":") {
			host = "[" + p.HostIP + "]:"
		}
	}
	to, err := netip.ParseAddrPort(p.Container)
	if err == nil && to.Port() == p.HostPort {
		return fmt.Sprintf("%s%d/%s", host, p.HostPort, p.Protocol)
	}
	return fmt.Sprintf("%s%d→%d/%s", host, p.HostPort, to.Port(), p.Protocol)
}

// Name is network/container/interface.
func (a *Attachment) Name() string { return a.Network + "/" + a.Container + "/" + a.IfName }

// Alive says whether the attachment is in use, as far as can be told.
func (a *Attachment) Alive() bool { return a.State == OK || a.State == Drift || a.State == Foreign }

// Addr is the first address of the family; invalid without one.
func (a *Attachment) Addr(is4 bool) netip.Addr {
	for _, text := range a.Addresses {
		if addr, err := netip.ParseAddr(text); err == nil && addr.Is4() == is4 {
			return addr
		}
	}
	return netip.Addr{}
}

// Has says whether the address is the attachment's.
func (a *Attachment) Has(addr netip.Addr) bool { return slices.Contains(a.Addresses, addr.String()) }

func (a *Attachment) owner() plan.Owner {
	return plan.Owner{Network: a.Network, ContainerID: a.Container, IfName: a.IfName, Pod: a.Pod}
}

// named reads a label. A label may have been cut short: then names that do not give
// the tag are left out.
func named(text string) (a Attachment, ok bool) {
	n, ok := label.Parse(text)
	a.Tag, a.Network, a.Container, a.IfName, a.Pod = n.Tag, n.Network, n.Container, n.IfName, n.Pod
	if ok && n.Container != "" && a.owner().Tag() != a.Tag {
		a.Container, a.IfName = n.Container+"…", ""
	}
	return a, ok
}
