package attachment

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// List finds all attachments of the node, sorted by network and address. Of what their ADDs made it
// compares those objects of the host that compared takes, and reads no routes in containers; nil is all.
func List(n *node.Node, compared func(plan.Object) bool) []*Attachment {
	j := joiner{Node: n, compared: compared, list: []*Attachment{}, byTag: make(map[string]*Attachment)}
	j.cache()
	j.links()
	j.leases()
	j.elements()
	for _, a := range j.list {
		j.complete(a)
	}
	slices.SortFunc(j.list, func(a, b *Attachment) int {
		return cmp.Or(strings.Compare(a.Network, b.Network), a.Addr(true).Compare(b.Addr(true)), a.Addr(false).Compare(b.Addr(false)), strings.Compare(a.Container, b.Container))
	})
	return j.list
}

type joiner struct {
	*node.Node
	compared func(plan.Object) bool
	list     []*Attachment
	byTag    map[string]*Attachment
	inUse    map[netip.Addr]string // in which namespace; nil until needed
}

// get finds the attachment or begins one. Names that are known once stay.
func (j *joiner) get(known Attachment) *Attachment {
	known.Pod = strings.TrimPrefix(known.Pod, "/") // podman's and nerdctl's pods have no namespace
	a := j.byTag[known.Tag]
	if a == nil {
		a = &known
		j.byTag[a.Tag], j.list = a, append(j.list, a)
	}
	if a.IfName == "" && known.IfName != "" {
		a.Network, a.Container, a.IfName = known.Network, known.Container, known.IfName
	}
	a.Pod = cmp.Or(a.Pod, known.Pod)
	return a
}

func (j *joiner) of(o plan.Owner) *Attachment {
	return j.get(Attachment{Network: o.Network, Container: o.ContainerID, IfName: o.IfName, Pod: o.Pod, Tag: o.Tag()})
}

func (j *joiner) cache() {
	for i := range j.Cached {
		c := &j.Cached[i]
		if !ours(c.Plugins) {
			continue
		}
		a := j.of(plan.Owner{Network: c.NetworkName, ContainerID: c.ContainerID, IfName: c.IfName, Pod: c.Args().Pod()})
		a.Cached, a.Netns, a.Since = c, c.NetNS, &c.Time
	}
}

// ours says whether a plugin of the list is one of the kinds that Bridgeport makes.
func ours(list []node.Plugin) bool {
	return slices.ContainsFunc(list, func(p node.Plugin) bool {
		return p.Kind() == "bridge" || p.Kind() == "portmap" || p.Leases()
	})
}

func (j *joiner) links() {
	for i, l := range j.Links {
		if known, ok := named(l.Alias); ok && l.Kind == "veth" {
			j.get(known).Host = &j.Links[i]
		}
	}
	// Of another implementation only the result tells which link it is.
	for _, a := range j.list {
		if a.Host != nil || a.Cached == nil || a.Cached.Result == nil {
			continue
		}
		for _, i := range a.Cached.Result.Interfaces {
			if l := j.Link(i.Name); i.Sandbox == "" && l != nil && l.Kind == "veth" && l.MAC == i.Mac {
				a.Host = l
			}
		}
	}
}

func (j *joiner) leases() {
	for _, l := range j.Leases {
		if l.Owner.ContainerID == "" {
			continue // an empty file: doctor tells of it
		}
		ifName := cmp.Or(l.Owner.IfName, "eth0") // the oldest form has no name
		a := j.of(plan.Owner{Network: l.Network, ContainerID: l.Owner.ContainerID, IfName: ifName})
		a.Leases = append(a.Leases, l)
		if a.Since == nil {
			a.Since = &l.Time
		}
	}
}

func (j *joiner) elements() {
	for _, e := range j.Rules {
		if known, ok := named(e.Comment); ok {
			a := j.get(known)
			a.Elements = append(a.Elements, e)
		}
	}
}

// complete fills in what follows from the parts.
func (j *joiner) complete(a *Attachment) {
	if s := j.SpaceOf(a.Host); s != nil && a.Netns == "" {
		a.Netns = s.Path
	}
	if l := a.Host; l != nil {
		a.Link, a.MTU = l.Name, l.MTU
		a.Traffic = Traffic{RxBytes: l.TxBytes, TxBytes: l.RxBytes, RxPackets: l.TxPackets, TxPackets: l.RxPackets}
		if master := j.LinkAt(l.Master); master != nil && l.Master != 0 {
			a.Bridge = master.Name
		}
	}
	a.addresses()
	a.ports()
	j.judge(a)
	for i := range a.Ports {
		if a.State == Foreign && a.Ports[i].Backend == missingRules {
			a.Ports[i].Backend = "another implementation"
		}
	}
	a.Notes = a.Findings.Sentences()
	if a.Inner != nil {
		a.MAC, a.MTU = a.Inner.MAC, a.Inner.MTU
	}
	if a.Since != nil {
		a.Since = new(a.Since.Truncate(time.Second).UTC())
	}
}

// addresses come from the result, from leases, and where there is neither from rules.
func (a *Attachment) addresses() {
	add := func(addr netip.Addr) {
		if addr.IsValid() && !a.Has(addr) {
			a.Addresses = append(a.Addresses, addr)
		}
	}
	if a.Cached != nil && a.Cached.Result != nil {
		for _, ip := range a.Cached.Result.IPs {
			add(cni.Addr(ip.Address.IP))
		}
	}
	for _, l := range a.Leases {
		add(l.Addr)
	}
	for _, e := range a.Elements {
		add(e.Address())
	}
	for _, e := range a.Elements {
		if _, _, to, ok := e.Forward(); ok && len(a.Addresses) == 0 {
			add(to.Addr())
		}
	}
}

func (a *Attachment) ports() {
	for _, e := range a.Elements {
		if p := PortOf(e); p.HostPort != 0 {
			a.Ports = append(a.Ports, p)
		}
	}
	for _, w := range a.wished() {
		i := slices.IndexFunc(a.Ports, func(p Port) bool { return w.Key() == p.Key() && w.HostIP == p.HostIP && w.Container == p.Container })
		if i < 0 {
			a.Ports = append(a.Ports, w)
		} else {
			a.Ports[i].AllowFrom = w.AllowFrom
		}
	}
	slices.SortFunc(a.Ports, func(p, q Port) int {
		return cmp.Or(cmp.Compare(p.HostPort, q.HostPort), cmp.Compare(p.Protocol, q.Protocol), p.HostIP.Compare(q.HostIP), p.Container.Compare(q.Container))
	})
}

// PortOf is what an element of our maps of ports says; the zero Port of another element.
func PortOf(e nft.Element) Port {
	proto, port, to, ok := e.Forward()
	if !ok {
		return Port{}
	}
	host, _ := e.HostIP()
	names, _ := label.Parse(e.Comment)
	return Port{
		HostIP: host, Protocol: hostport.ProtocolName(proto), HostPort: port, Container: to, Backend: "nftables",
		Connections: e.Connections, ByHand: names.ByHand(),
	}
}

// missingRules is the backend of a port without an element in our table.
const missingRules = "missing"

// wished are the ports that the runtime asked for and ADD accepts, by iptables or as if their elements were lost.
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
		req, err := node.Request(&network, p, a.all(), "DEL", nil)
		if err != nil || !p.Capabilities[portMappings] {
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
