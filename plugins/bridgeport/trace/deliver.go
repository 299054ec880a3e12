package trace

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// routing is the way from the host to the container.
func (t *Tracer) routing(p Packet, in *node.Link, to netip.AddrPort) bool {
	t.target = t.holder(to.Addr())
	r, l := t.LinkTo(to.Addr())
	if l == nil {
		return t.drop("route", "the host has no route to %s", to.Addr())
	}
	if t.target != nil && t.target.Bridge != "" && !nft.OfBridge(l.Name, t.target.Bridge) {
		return t.drop("route", "%s dev %s does not lead to bridge %s, where %s is", r.Dst, l.Name, t.target.Bridge, t.target.Name())
	}
	forwarded := in != nil && (in.Index != l.Index || t.Local(p.To.Addr()))
	if forwarded && !t.forwards(in.Name, to.Addr().Is4()) {
		return false
	}
	way, err := node.WayOf(to.Addr(), p.From.Addr(), nameOf(in))
	switch {
	case in == nil: // the kernel chose before the translation, and chooses again
	case errors.Is(err, node.ErrSource): // the kernel looks after the translation
		return t.drop("route", "%s is strict (net.ipv4.conf.%[1]s.rp_filter, or all's): the container's reply to %s would leave by another link", in.Name, p.From.Addr())
	case err != nil:
		return t.drop("route", "the kernel has none for a packet from %s by %s to %s: look at `ip rule`: %v", p.From.Addr(), in.Name, to.Addr(), err)
	case way.Link != l.Name:
		return t.drop("route", "table %d, by `ip rule`, sends it to %s, not to %s, where the container is", way.Table, way.Link, l.Name)
	}
	t.hop("route", "%s dev %s", r.Dst, l.Name)
	if !forwarded {
		return true
	}
	return t.forward(l, packetOf(p, l, in, to))
}

// forwards says whether the host forwards what comes in by the link. With IPv6 the link's own setting does
// not count (ip6_forward).
func (t *Tracer) forwards(in string, is4 bool) bool {
	key := node.ForwardKey(is4)
	if node.Sysctl(key) == "0" {
		return t.drop("forward", "%s is 0: the host does not forward", strings.ReplaceAll(key, "/", "."))
	}
	if is4 && node.Sysctl("net/ipv4/conf/"+in+"/forwarding") == "0" {
		return t.drop("forward", "net.ipv4.conf.%s.forwarding is 0: the host does not forward what comes in by %[1]s", in)
	}
	return true
}

// nameOf is the link's name; "" without a link.
func nameOf(l *node.Link) string {
	if l == nil {
		return ""
	}
	return l.Name
}

// packetOf is the packet as rules at the forward hook see it.
func packetOf(p Packet, out, in *node.Link, to netip.AddrPort) node.Forwarded {
	number, _ := hostport.Protocol(p.Protocol)
	return node.Forwarded{
		In: in, Out: out, IPv4: to.Addr().Is4(), Protocol: number, From: p.From, To: to, Translated: p.To != to,
	}
}

// forward is what rules do with the packet.
func (t *Tracer) forward(l *node.Link, packet node.Forwarded) bool {
	if !t.kept(packet) {
		return false
	}
	doubts := 0
	legacy, err := foreign.LegacyBlockers(l.Name)
	if err != nil {
		t.doubt("forward", "rules of iptables-legacy can't be read: %v", err)
		doubts++
	}
	for _, b := range legacy {
		if (b.Family == "ip") == packet.IPv4 {
			return t.drop("forward", "%s drops it: %s-save shows the rules", b, b.Legacy)
		}
	}
	for _, j := range node.NewJudge(t.Chains).Of(packet) {
		if j.Drops {
			return t.drop("forward", "%s drops it: %s (nft -a list table %s %s)", j.Chain, j.Where, j.Chain.Family, j.Chain.Table)
		}
		t.doubt("forward", "%s may drop it: %s (nft -a list table %s %s)", j.Chain, j.Where, j.Chain.Family, j.Chain.Table)
		doubts++
	}
	if doubts == 0 {
		t.hop("forward", "nothing drops what is forwarded to %s", l.Name)
	}
	return true
}

// masquerade is the source that the container sees.
func (t *Tracer) masquerade(p Packet, to netip.AddrPort) netip.Addr {
	source := p.From.Addr()
	near := t.target != nil && t.target.Inner != nil && slices.ContainsFunc(t.target.Inner.Addrs, func(own netip.Prefix) bool {
		return own.Masked().Contains(source)
	})
	for _, e := range t.Rules {
		if e.Class() != nft.ClassReply || e.Address() != to.Addr() || !t.Local(p.To.Addr()) {
			continue
		}
		if near || source.IsLoopback() {
			if own := t.HostAddress(to.Addr()); own.IsValid() {
				source = own
			}
			t.hop("masquerade", "chain inet %s %s: the container sees %s, since its reply must pass the host", nft.Table, e.Chain, source)
			return source
		}
	}
	t.hop("masquerade", "none: the container sees %s", source)
	return source
}

// plug is the way over the bridge.
func (t *Tracer) plug(to netip.AddrPort) bool {
	a := t.target
	switch {
	case a == nil:
		return t.drop("bridge port", "no living attachment has %s: nobody answers ARP", to.Addr())
	case a.Host == nil:
		return t.drop("bridge port", "%s has no link on the host", a.Name())
	case !a.Host.Up:
		return t.drop("bridge port", "%s is down: bridgeport repair", a.Link)
	case a.Host.Master == 0:
		return t.drop("bridge port", "%s is plugged into no bridge: bridgeport repair", a.Link)
	case !a.Host.Carrier:
		return t.drop("bridge port", "%s has no carrier: the container's %s is down", a.Link, a.IfName)
	}
	t.hop("bridge port", "%s of bridge %s", a.Link, a.Bridge).Counter = fmt.Sprintf("%d packets to the container, %d from it, %d dropped", a.Traffic.RxPackets, a.Traffic.TxPackets, a.Host.Drops)
	return true
}

// container is what happens inside.
func (t *Tracer) container(p Packet, to netip.AddrPort) bool {
	a := t.target
	if a.Inner == nil {
		return t.doubt("container", "%s can't be looked into", a.Name())
	}
	if !a.Inner.Has(to.Addr()) {
		return t.drop("container", "%s inside %s has not the address %s", a.IfName, a.Name(), to.Addr())
	}
	var sockets []node.Socket
	if err := t.inside(func() error { sockets = node.Listeners(); return nil }); err != nil {
		return t.doubt("container", "%s: %v", a.Name(), err)
	}
	for _, s := range sockets {
		if s.Takes(p.Protocol, to) {
			t.hop("container", "%s listens on %s in %s", s.ProcessOf(), hostport.Text(s.Protocol, s.Addr.Addr(), s.Addr.Port()), a.Name())
			return true
		}
	}
	return t.drop("container", "nothing in %s listens on %s: it refuses the connection", a.Name(), hostport.Text(p.Protocol, to.Addr(), to.Port()))
}

// inside looks at something in the container's namespace.
func (t *Tracer) inside(look func() error) error {
	ns, err := netns.Open(t.target.Netns)
	if err != nil {
		return err
	}
	defer ns.Close() // read-only
	return ns.Do(look)
}

// reply is the way back, out of the container and out of the host.
func (t *Tracer) reply(source netip.Addr, to netip.AddrPort, in *node.Link) bool {
	a := t.target
	if a.Inside == nil {
		return true
	}
	var way node.Way
	err := t.inside(func() (err error) { way, err = node.WayOf(source, to.Addr(), ""); return err })
	switch {
	case errors.Is(err, node.ErrNoWay):
		return t.drop("reply", "the container has no route to %s", source)
	case err != nil:
		return t.doubt("reply", "%s: %v", a.Name(), err)
	case way.Gateway.IsValid() && !t.Local(way.Gateway):
		return t.doubt("reply", "by the gateway %s, which is not this host: its translation would be missed", way.Gateway)
	}
	by := t.bridgeOf(way.Link)
	if by == "" {
		return t.doubt("reply", "by %s of the container, which is no attachment of ours", way.Link)
	}
	if !way.Gateway.IsValid() {
		t.hop("reply", "directly on %s", way.Link)
		return true
	}
	return t.out(source, to, in, by, way)
}

// bridgeOf is the host's link that the container's packets come in by; "" where the link in the container
// is none of an attachment.
func (t *Tracer) bridgeOf(ifName string) string {
	for _, a := range t.List {
		if a.Container == t.target.Container && a.IfName == ifName && a.Alive() {
			return a.OutLink(t.Node, a.Addr(a.Addr(true).IsValid()))
		}
	}
	return ""
}

// out is the reply's way through the host.
func (t *Tracer) out(source netip.Addr, to netip.AddrPort, in *node.Link, by string, way node.Way) bool {
	aside := ""
	if way.Link != t.target.IfName {
		aside = fmt.Sprintf("by %s, another link of the container than the request's, ", way.Link)
	}
	if !t.Local(source) && !t.forwards(by, to.Addr().Is4()) {
		return false
	}
	back, err := node.WayOf(source, to.Addr(), by)
	switch {
	case errors.Is(err, node.ErrSource):
		return t.drop("reply", "%sto %s, which is strict and drops it (net.ipv4.conf.%[2]s.rp_filter, or all's): set 2 there", aside, by)
	case err != nil:
		return t.drop("reply", "%sto the host, which has no way from %s to %s: look at `ip rule`: %v", aside, by, source, err)
	case in != nil && !t.Local(source) && back.Link != in.Name:
		return t.doubt("reply", "%sback through the host, which sends it by %s (table %d), though the request came in by %s: networks drop that", aside, back.Link, back.Table, in.Name)
	}
	t.hop("reply", "%sby the gateway %s, back through the host, which undoes the translation", aside, way.Gateway)
	return true
}
