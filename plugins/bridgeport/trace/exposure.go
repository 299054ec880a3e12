package trace

import (
	"cmp"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// Exposed is one port of the host and who reaches it.
type Exposed struct {
	Port    string   `json:"port"` // "tcp/8080"
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
			e := Exposed{
				Port: p.Key(), LeadsTo: p.Container.String(), Holder: a.Name(),
				Sources: "everybody", Remark: t.remark(p.Container), protocol: p.Protocol, number: p.HostPort,
			}
			e.Links, e.Public = t.reached(p.HostIP, p.Container.Addr().Is4())
			if p.AllowFrom != nil {
				e.Sources = show.List(p.AllowFrom)
			}
			switch {
			case p.HostIP.IsLoopback():
				e.Sources = "the host only"
			case !a.Alive():
				e.Sources, e.Remark = "nobody: dead", "bridgeport gc"
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

// remark is what stands in the way.
func (t *Tracer) remark(to netip.AddrPort) string {
	probe := &Tracer{Node: t.Node, List: t.List, Chains: t.Chains}
	_, l := t.LinkTo(to.Addr())
	if l == nil {
		return "no route to the container"
	}
	if !probe.forward(l) {
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

func (t *Tracer) processes() []Exposed {
	var list []Exposed
	for _, s := range node.Listeners() {
		e := Exposed{
			Port: s.Key(), LeadsTo: s.Addr.String(), Holder: s.ProcessOf(), Sources: "everybody",
			Remark: "the input hook's rules decide", protocol: s.Protocol, number: s.Addr.Port(),
		}
		host := s.Addr.Addr()
		if host.IsLoopback() {
			e.Sources, e.Remark = "the host only", ""
		}
		is4 := host.Is4()
		if host.IsUnspecified() {
			host = netip.Addr{}
		}
		e.Links, e.Public = t.reached(host, is4)
		list = append(list, e)
	}
	return list
}
