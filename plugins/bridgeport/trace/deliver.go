package trace

import (
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// routing is the way from the host to the container.
func (t *Tracer) routing(p Packet, in *node.Link, to netip.AddrPort) bool {
	for _, a := range t.List {
		if a.Alive() && a.Has(to.Addr()) {
			t.target = a
		}
	}
	r, l := t.LinkTo(to.Addr())
	if l == nil {
		return t.drop("route", "the host has no route to %s", to.Addr())
	}
	t.hop("route", "%s dev %s", r.Dst, l.Name)
	if in == nil || in.Index == l.Index && !t.Local(p.To.Addr()) {
		return true // nothing is forwarded
	}
	key := map[bool]string{true: "net/ipv4/ip_forward", false: "net/ipv6/conf/all/forwarding"}[to.Addr().Is4()]
	if node.Sysctl(key) == "0" {
		return t.drop("forward", "%s is 0: the host does not forward", strings.ReplaceAll(key, "/", "."))
	}
	return t.forward(l)
}

func (t *Tracer) forward(l *node.Link) bool {
	h, err := plan.Open(nil)
	if err != nil {
		return t.doubt("forward", "rules can't be read: %v", err)
	}
	defer h.Close()
	if found := plan.Findings(foreign.ForwardBlocked(h, l.Name)); len(found) > 0 {
		if found[0].Kind == plan.ForwardKind {
			return t.drop("forward", "%v", found)
		}
		return t.doubt("forward", "%v", found)
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
	ns, err := netns.Open(a.Netns)
	if err == nil {
		err = ns.Do(func() error { sockets = node.Listeners(); return nil })
		_ = ns.Close() // read-only
	}
	if err != nil {
		return t.doubt("container", "%s: %v", a.Name(), err)
	}
	for _, s := range sockets {
		if s.Takes(p.Protocol, to) {
			t.hop("container", "%s listens on %s/%s in %s", s.ProcessOf(), s.Addr, s.Protocol, a.Name())
			return true
		}
	}
	return t.drop("container", "nothing in %s listens on %s/%s: it refuses the connection", a.Name(), to, p.Protocol)
}

// way is the reply's.
func (t *Tracer) way(source netip.Addr, to netip.AddrPort) bool {
	a := t.target
	if a.Inside == nil {
		return true
	}
	r := a.Inside.RouteTo(source)
	switch {
	case r == nil:
		return t.drop("reply", "the container has no route to %s", source)
	case r.Gateway.IsValid() && !t.Local(r.Gateway):
		t.hop("reply", "by the gateway %s, which is not this host: its translation would be missed", r.Gateway).Doubt = true
	case r.Gateway.IsValid():
		t.hop("reply", "by the gateway %s, back through the host, which undoes the translation", r.Gateway)
	default:
		t.hop("reply", "directly on %s", r.Dst)
	}
	return true
}
