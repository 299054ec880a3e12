// Package trace follows a packet through the node as it is now, and tells who reaches which port.
package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// Hop is one station of a packet.
type Hop struct {
	Name    string `json:"hop"`
	Says    string `json:"says"`
	Drops   bool   `json:"drops,omitempty"` // the packet goes no further
	Doubt   bool   `json:"doubt,omitempty"` // rules of others that are not judged
	Counter string `json:"counter,omitempty"`
}

// Packet is what is followed.
type Packet struct {
	From     netip.AddrPort
	To       netip.AddrPort
	Protocol string // "tcp", "udp"
	In       string // the link by which the packet comes in; "" for the way to From
}

// Tracer is a node that packets go through.
type Tracer struct {
	*node.Node
	List   []*attachment.Attachment
	Chains []node.Chain
	hops   []Hop
	target *attachment.Attachment
}

// New reads what Follow needs.
func New(n *node.Node, list []*attachment.Attachment) (*Tracer, error) {
	chains, err := node.Chains()
	return &Tracer{Node: n, List: list, Chains: chains}, err
}

func (t *Tracer) hop(name, says string, args ...any) *Hop {
	t.hops = append(t.hops, Hop{Name: name, Says: fmt.Sprintf(says, args...)})
	return &t.hops[len(t.hops)-1]
}

// drop is the last hop; it returns false: the packet goes no further.
func (t *Tracer) drop(name, says string, args ...any) bool {
	t.hop(name, says, args...).Drops = true
	return false
}

// doubt is a hop that is not judged; it returns true: the packet may go on.
func (t *Tracer) doubt(name, says string, args ...any) bool {
	t.hop(name, says, args...).Doubt = true
	return true
}

// HostAddress is the node's address that a client would use: of its family, on the link towards it.
func (t *Tracer) HostAddress(client netip.Addr) netip.Addr {
	if client.IsLoopback() {
		return client
	}
	if _, l := t.LinkTo(client); l != nil {
		for _, a := range l.Addrs {
			if a.Addr().Is4() == client.Is4() && !a.Addr().IsLinkLocalUnicast() {
				return a.Addr()
			}
		}
	}
	return netip.Addr{}
}

// Follow tells each hop, and whether the packet arrives at a container, or a container's packet leaves
// the host.
func (t *Tracer) Follow(p Packet) (hops []Hop, arrives bool) {
	t.hops, t.target = nil, nil
	in, ok := t.arrival(p)
	if !ok || !t.admits(p, in) {
		return t.hops, false
	}
	to, ok := t.translation(p)
	if ok && in != nil && t.holder(p.From.Addr()) != nil && t.holder(to.Addr()) == nil {
		arrives = t.hops[len(t.hops)-1].Name == WayOut || t.leaves(p, in)
		return t.hops, arrives
	}
	if !ok || !t.routing(p, in, to) {
		return t.hops, false
	}
	source := t.masquerade(p, to)
	if !t.plug(to) || !t.container(p, to) {
		return t.hops, false
	}
	return t.hops, t.reply(source, to, in)
}

// arrival is the link that the packet comes in by; nil for the host's own.
func (t *Tracer) arrival(p Packet) (*node.Link, bool) {
	if t.Local(p.From.Addr()) {
		t.hop("start", "%s is the host itself: the packet begins in the output hook", p.From.Addr())
		return nil, true
	}
	l := t.entry(p)
	if l == nil && p.In != "" {
		return nil, t.drop("arrival", "the host has no link %s", p.In)
	}
	if l == nil {
		return nil, t.drop("arrival", "the host has no route to %s: replies could not leave, and strict rp_filter drops the request", p.From.Addr())
	}
	h := t.hop("arrival", "%s comes in by %s, the way to it", p.From.Addr(), l.Name)
	h.Counter = fmt.Sprintf("%d packets received, %d dropped", l.RxPackets, l.Drops)
	if !l.Up || !l.Carrier {
		h.Drops, h.Says = true, fmt.Sprintf("%s, the way to %s, is down", l.Name, p.From.Addr())
		return nil, false
	}
	if p.To.Addr().IsLoopback() || p.From.Addr().IsLoopback() {
		return nil, t.drop("guard", "a loopback address is never accepted from %s", l.Name)
	}
	return l, true
}

// entry is the link by which the packet comes in: the one that was given, or the way to its sender.
func (t *Tracer) entry(p Packet) *node.Link {
	if p.In != "" {
		return t.Link(p.In)
	}
	way, err := node.WayOf(p.From.Addr(), netip.Addr{}, "")
	if err != nil {
		return nil
	}
	return t.Link(way.Link)
}

// translation is where a published port leads, or the destination itself.
func (t *Tracer) translation(p Packet) (netip.AddrPort, bool) {
	key := node.PortKey(p.Protocol, p.To.Port())
	for _, c := range t.Chains {
		if c.Table != nft.Table && c.Redirects() && slices.Contains(c.Diverts(), key) {
			t.hop("nat of others", "%s, at priority %d, sends %s elsewhere first", c, c.Priority, key).Doubt = true
		}
	}
	if !t.Local(p.To.Addr()) {
		t.hop("published port", "%s is not an address of the host: not translated", p.To.Addr())
		return p.To, true
	}
	e, found := t.mapping(p)
	if !found {
		for _, s := range node.Listeners() {
			if s.Takes(p.Protocol, p.To) && t.holder(p.From.Addr()) != nil {
				t.hop(WayOut, "%s of the host listens on %s and gets it", s.ProcessOf(), s.Addr)
				return p.To, true
			}
			if s.Takes(p.Protocol, p.To) {
				return p.To, t.drop("published port", "nobody publishes %s; %s of the host listens on %s and gets it", key, s.ProcessOf(), s.Addr)
			}
		}
		return p.To, t.drop("published port", "nobody publishes %s on %s, and no process listens: the host refuses it", key, p.To.Addr())
	}
	_, _, to, _ := e.Forward()
	gate, _ := nft.AtGate(e, "")
	if i := slices.IndexFunc(t.Rules, gate.SameKey); i >= 0 && !t.admitted(p, e, t.Rules[i].Chain) {
		return to, false
	}
	h := t.hop("published port", "chain inet %s hostports, %s: dnat to %s", nft.Table, e.Name(), to)
	h.Counter = fmt.Sprintf("%d connections", e.Connections)
	if !slices.ContainsFunc(t.Chains, func(c node.Chain) bool {
		return c.Table == nft.Table && c.Name == "hostports" && c.Length() > 0
	}) {
		h.Drops, h.Says = true, "the element "+e.Name()+" is there, but the rules that read it are missing: bridgeport repair"
		return to, false
	}
	return to, true
}

// admitted asks the gate of the element's port, which is the chain: who is in allowFrom may use the port.
func (t *Tracer) admitted(p Packet, e nft.Element, chain string) bool {
	client := p.From.Addr()
	host, _ := e.HostIP()
	_, _, to, _ := e.Forward()
	for _, a := range t.List {
		for _, port := range a.Ports {
			if port.Container != to || port.Key() != node.PortKey(p.Protocol, p.To.Port()) || port.HostIP != host || port.AllowFrom == nil {
				continue
			}
			if !slices.ContainsFunc(port.AllowFrom, func(from netip.Prefix) bool { return from.Contains(client) }) {
				return t.drop("who may", "chain inet %s %s: allowFrom has no %s: the packet goes to the host itself", nft.Table, chain, client)
			}
			t.hop("who may", "chain inet %s %s: allowFrom has %s", nft.Table, chain, client)
			return true
		}
	}
	return t.doubt("who may", "chain inet %s %s decides by conditions that are not judged here", nft.Table, chain)
}

// mapping is the element that wins: one host address before any.
func (t *Tracer) mapping(p Packet) (found nft.Element, ok bool) {
	number, _ := hostport.Protocol(p.Protocol)
	for _, e := range t.Rules {
		proto, port, to, is := e.Forward()
		if !is || proto != number || port != p.To.Port() || to.Addr().Is4() != p.To.Addr().Is4() {
			continue
		}
		host, one := e.HostIP()
		if one && host == p.To.Addr() {
			return e, true
		}
		if !one && !ok {
			found, ok = e, true
		}
	}
	return found, ok
}

// Exposed is one port of the host and who reaches it.
type Exposed struct {
	Port    string   `json:"port"` // "8080/tcp"
	LeadsTo string   `json:"leadsTo"`
	Holder  string   `json:"holder"`
	Links   []string `json:"links"`   // by which it is reached, with the addresses
	Sources string   `json:"sources"` // who
	Remark  string   `json:"remark,omitempty"`
	Public  bool     `json:"public"` // by an address that the internet may route

	protocol string
	number   uint16
}

// Exposure lists published ports, and with all the sockets of the host's processes, too.
func (t *Tracer) Exposure(all bool) []Exposed {
	list := []Exposed{}
	for _, a := range t.List {
		for _, p := range a.Ports {
			e := t.exposed(p.Protocol, p.HostPort, p.HostIP, p.Container, p.Container.Addr().Is4())
			e.Holder, e.Remark = a.Name(), t.remark(p.Protocol, p.Container)
			switch {
			case p.HostIP.IsLoopback():
			case !a.Alive():
				e.Sources, e.Remark = "nobody: dead", "bridgeport gc"
			case p.AllowFrom != nil:
				e.Sources = show.List(p.AllowFrom)
			}
			list = append(list, e)
		}
	}
	if all {
		list = append(list, t.processes()...)
	}
	slices.SortStableFunc(list, func(a, b Exposed) int {
		return cmp.Or(strings.Compare(a.protocol, b.protocol), cmp.Compare(a.number, b.number))
	})
	return list
}

func (t *Tracer) exposed(protocol string, number uint16, host netip.Addr, to netip.AddrPort, is4 bool) Exposed {
	e := Exposed{Port: node.PortKey(protocol, number), LeadsTo: to.String(), Sources: "everybody", protocol: protocol, number: number}
	if host.IsLoopback() {
		e.Sources = "the host only"
	}
	e.Links, e.Public = t.reached(host, is4)
	return e
}

// remark is what stands in the way.
func (t *Tracer) remark(protocol string, to netip.AddrPort) string {
	probe := &Tracer{Node: t.Node, List: t.List, Chains: t.Chains}
	_, l := t.LinkTo(to.Addr())
	if l == nil {
		return "no route to the container"
	}
	if !probe.forward(l, packetOf(Packet{Protocol: protocol}, l, nil, to)) {
		return "blocked: " + probe.hops[len(probe.hops)-1].Says
	}
	return ""
}

// reached are the links whose addresses the port is on.
func (t *Tracer) reached(host netip.Addr, is4 bool) (links []string, public bool) {
	for _, l := range t.Links {
		var addrs []string
		for _, a := range l.Addrs {
			addr := a.Addr()
			if addr.Is4() != is4 || host.IsValid() && addr != host || addr.IsLinkLocalUnicast() {
				continue
			}
			addrs = append(addrs, addr.String())
			public = public || addr.IsGlobalUnicast() && !addr.IsPrivate() && !addr.IsLoopback()
		}
		if len(addrs) > 0 && l.Up {
			links = append(links, l.Name+" "+strings.Join(addrs, " "))
		}
	}
	return links, public
}

func (t *Tracer) processes() (list []Exposed) {
	for _, s := range node.Listeners() {
		host := s.Addr.Addr()
		if host.IsUnspecified() {
			host = netip.Addr{}
		}
		e := t.exposed(s.Protocol, s.Addr.Port(), host, s.Addr, s.Addr.Addr().Is4())
		e.Holder = s.ProcessOf()
		if !host.IsLoopback() {
			e.Remark = "the input hook's rules decide"
		}
		list = append(list, e)
	}
	return list
}
