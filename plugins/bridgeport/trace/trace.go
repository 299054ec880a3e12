// Package trace follows a packet through the node, as its rules, routes and links are
// now, and tells who reaches which port.
package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
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

func (t *Tracer) drop(name, says string, args ...any) {
	t.hop(name, says, args...).Drops = true
}

// HostAddress is the node's address that a client would use: the one on its link
// towards the client, of the client's family.
func (t *Tracer) HostAddress(client netip.Addr) netip.Addr {
	if client.IsLoopback() {
		return client
	}
	if r := t.RouteTo(client); r != nil {
		if l := t.LinkAt(r.Link); l != nil {
			for _, a := range l.Addrs {
				if a.Addr().Is4() == client.Is4() && !a.Addr().IsLinkLocalUnicast() {
					return a.Addr()
				}
			}
		}
	}
	return netip.Addr{}
}

// Follow tells each hop, and whether the packet arrives at a container.
func (t *Tracer) Follow(p Packet) (hops []Hop, arrives bool) {
	t.hops, t.target = nil, nil
	in, ok := t.arrival(p)
	if !ok {
		return t.hops, false
	}
	to, ok := t.translation(p)
	if !ok || !t.routing(p, in, to) {
		return t.hops, false
	}
	source := t.masquerade(p, to)
	if !t.plug(to) || !t.container(p, to) {
		return t.hops, false
	}
	return t.hops, t.way(source, to)
}

// arrival is the link that the packet comes in by; nil for the host's own.
func (t *Tracer) arrival(p Packet) (*node.Link, bool) {
	if t.Local(p.From.Addr()) {
		t.hop("start", "%s is the host itself: the packet begins in the output hook", p.From.Addr())
		return nil, true
	}
	r := t.RouteTo(p.From.Addr())
	if r == nil {
		t.drop("arrival", "the host has no route to %s: replies could not leave, and strict rp_filter drops the request", p.From.Addr())
		return nil, false
	}
	l := t.LinkAt(r.Link)
	if l == nil {
		t.drop("arrival", "the route to %s leads to no link", p.From.Addr())
		return nil, false
	}
	h := t.hop("arrival", "%s comes in by %s, the way to it", p.From.Addr(), l.Name)
	h.Counter = fmt.Sprintf("%d packets received, %d dropped", l.RxPackets, l.Drops)
	if !l.Up || !l.Carrier {
		h.Drops, h.Says = true, fmt.Sprintf("%s, the way to %s, is down", l.Name, p.From.Addr())
		return nil, false
	}
	if p.To.Addr().IsLoopback() || p.From.Addr().IsLoopback() {
		t.drop("guard", "a loopback address is never accepted from %s", l.Name)
		return nil, false
	}
	return l, true
}

// translation is where a published port leads, or the destination itself.
func (t *Tracer) translation(p Packet) (netip.AddrPort, bool) {
	key := fmt.Sprintf("%s/%d", p.Protocol, p.To.Port())
	for _, c := range t.Chains {
		if c.Table != nft.Table && c.Hook == "prerouting" && c.Type == "nat" && slices.Contains(c.Diverts(), key) {
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
			if s.Protocol == p.Protocol && s.Addr.Port() == p.To.Port() && (s.Addr.Addr().IsUnspecified() || s.Addr.Addr() == p.To.Addr()) {
				t.drop("published port", "nobody publishes %s; %s of the host listens on %s and gets it", key, name(s.ProcessOf()), s.Addr)
				return p.To, false
			}
		}
		t.drop("published port", "nobody publishes %s on %s, and no process listens: the host refuses it", key, p.To.Addr())
		return p.To, false
	}
	_, _, to, _ := e.Forward()
	if g, gated := t.gate(e); gated && !t.admitted(p, g, to) {
		return to, false
	}
	h := t.hop("published port", "chain inet %s hostports, %s: dnat to %s", nft.Table, e.Name(), to)
	h.Counter = counter(e)
	if !slices.ContainsFunc(t.Chains, func(c node.Chain) bool {
		return c.Table == nft.Table && c.Name == "hostports" && c.Length() > 0
	}) {
		h.Drops, h.Says = true, "the element "+e.Name()+" is there, but the rules that read it are missing: bridgeport repair"
		return to, false
	}
	return to, true
}

// admitted asks the port's gate.
func (t *Tracer) admitted(p Packet, g nft.Element, to netip.AddrPort) bool {
	for _, a := range t.List {
		if !a.Has(to.Addr()) {
			continue
		}
		if ok, known := admits(a, p.To.Port(), p.From.Addr()); known && !ok {
			t.drop("who may", "chain inet %s %s: allowFrom has no %s: the packet goes to the host itself", nft.Table, g.Chain, p.From.Addr())
			return false
		} else if known {
			t.hop("who may", "chain inet %s %s: allowFrom has %s", nft.Table, g.Chain, p.From.Addr())
			return true
		}
	}
	t.hop("who may", "chain inet %s %s decides by conditions that are not judged here", nft.Table, g.Chain).Doubt = true
	return true
}

func name(process string) string {
	if process == "" {
		return "a process"
	}
	return process
}

// mapping is the element that wins: one host address before any.
func (t *Tracer) mapping(p Packet) (found nft.Element, ok bool) {
	number, _ := nft.Protocol(p.Protocol)
	for _, e := range t.Rules {
		proto, port, to, is := e.Forward()
		if !is || !e.IsPort() || proto != number || port != p.To.Port() || to.Addr().Is4() != p.To.Addr().Is4() {
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

// routing is the way from the host to the container.
func (t *Tracer) routing(p Packet, in *node.Link, to netip.AddrPort) bool {
	for _, a := range t.List {
		if a.Alive() && a.Has(to.Addr()) {
			t.target = a
		}
	}
	r := t.RouteTo(to.Addr())
	if r == nil {
		t.drop("route", "the host has no route to %s", to.Addr())
		return false
	}
	l := t.LinkAt(r.Link)
	if l == nil {
		t.drop("route", "the route to %s leads to no link", to.Addr())
		return false
	}
	t.hop("route", "%s dev %s", r.Dst, l.Name)
	if in == nil || in.Index == l.Index && !t.Local(p.To.Addr()) {
		return true // nothing is forwarded
	}
	key := "net/ipv4/ip_forward"
	if !to.Addr().Is4() {
		key = "net/ipv6/conf/all/forwarding"
	}
	if node.Sysctl(key) == "0" {
		t.drop("forward", "%s is 0: the host does not forward", strings.ReplaceAll(key, "/", "."))
		return false
	}
	return t.forward(l)
}

func (t *Tracer) forward(l *node.Link) bool {
	h, err := kernel.Open(nil)
	if err != nil {
		t.hop("forward", "rules can't be read: %v", err).Doubt = true
		return true
	}
	defer h.Close()
	if err := kernel.ForwardBlocked(h, l.Name); err != nil {
		t.drop("forward", "%v", err)
		return false
	}
	var others []string
	for _, c := range t.Chains {
		if c.Hook == "forward" && c.Type == "filter" && c.Table != nft.Table && c.Length() > 0 {
			others = append(others, c.String())
		}
	}
	says := t.hop("forward", "nothing drops what is forwarded to %s", l.Name)
	if len(others) > 0 {
		says.Says += "; rules of others that were looked at only roughly: " + strings.Join(others, ", ")
	}
	return true
}

// masquerade is the source that the container sees.
func (t *Tracer) masquerade(p Packet, to netip.AddrPort) netip.Addr {
	source := p.From.Addr()
	for _, e := range t.Rules {
		if !strings.HasPrefix(e.Set, "snat") || e.Address() != to.Addr() || !t.Local(p.To.Addr()) {
			continue
		}
		near := t.target != nil && t.sameSubnet(source)
		if near || source.IsLoopback() {
			if r := t.RouteTo(to.Addr()); r != nil {
				if l := t.LinkAt(r.Link); l != nil {
					for _, a := range l.Addrs {
						if a.Addr().Is4() == to.Addr().Is4() && !a.Addr().IsLinkLocalUnicast() {
							source = a.Addr()
							break
						}
					}
				}
			}
			t.hop("masquerade", "chain inet %s %s: the container sees %s, since its reply must pass the host", nft.Table, e.Chain, source).Counter = counter(e)
			return source
		}
	}
	t.hop("masquerade", "none: the container sees %s", source)
	return source
}

func (t *Tracer) sameSubnet(a netip.Addr) bool {
	return t.target.Inner != nil && slices.ContainsFunc(t.target.Inner.Addrs, func(p netip.Prefix) bool { return p.Masked().Contains(a) })
}

// plug is the way over the bridge.
func (t *Tracer) plug(to netip.AddrPort) bool {
	a := t.target
	switch {
	case a == nil:
		t.drop("bridge port", "no living attachment has %s: nobody answers ARP", to.Addr())
		return false
	case a.Host == nil:
		t.drop("bridge port", "%s has no link on the host", a.Name())
		return false
	case !a.Host.Up:
		t.drop("bridge port", "%s is down: bridgeport repair", a.Link)
		return false
	case a.Host.Master == 0:
		t.drop("bridge port", "%s is plugged into no bridge: bridgeport repair", a.Link)
		return false
	case !a.Host.Carrier:
		t.drop("bridge port", "%s has no carrier: the container's %s is down", a.Link, a.IfName)
		return false
	}
	t.hop("bridge port", "%s of bridge %s", a.Link, a.Bridge).Counter = fmt.Sprintf("%d packets to the container, %d from it, %d dropped", a.Traffic.RxPackets, a.Traffic.TxPackets, a.Host.Drops)
	return true
}

// container is what happens inside.
func (t *Tracer) container(p Packet, to netip.AddrPort) bool {
	a := t.target
	if a.Inner == nil {
		t.hop("container", "%s can't be looked into", a.Name()).Doubt = true
		return true
	}
	if !a.Inner.Has(to.Addr()) {
		t.drop("container", "%s inside %s has not the address %s", a.IfName, a.Name(), to.Addr())
		return false
	}
	var sockets []node.Socket
	ns, err := netns.Open(a.Netns)
	if err == nil {
		err = ns.Do(func() error { sockets = node.Listeners(); return nil })
		_ = ns.Close() // read-only
	}
	if err != nil {
		t.hop("container", "%s: %v", a.Name(), err).Doubt = true
		return true
	}
	for _, s := range sockets {
		if s.Protocol == p.Protocol && s.Addr.Port() == to.Port() && (s.Addr.Addr().IsUnspecified() || s.Addr.Addr() == to.Addr()) {
			t.hop("container", "%s listens on %s/%s in %s", name(s.ProcessOf()), s.Addr, s.Protocol, a.Name())
			return true
		}
	}
	t.drop("container", "nothing in %s listens on %s/%s: it refuses the connection", a.Name(), to, p.Protocol)
	return false
}

// way is the reply's.
func (t *Tracer) way(source netip.Addr, to netip.AddrPort) bool {
	a := t.target
	if a.Inside == nil {
		return true
	}
	r := (&node.Node{Routes: a.Inside.Routes}).RouteTo(source)
	switch {
	case r == nil:
		t.drop("reply", "the container has no route to %s", source)
		return false
	case r.Gateway.IsValid() && !t.Local(r.Gateway):
		t.hop("reply", "by the gateway %s, which is not this host: its translation would be missed", r.Gateway).Doubt = true
	case r.Gateway.IsValid():
		t.hop("reply", "by the gateway %s, back through the host, which undoes the translation", r.Gateway)
	default:
		t.hop("reply", "directly on %s", r.Dst)
	}
	return true
}
