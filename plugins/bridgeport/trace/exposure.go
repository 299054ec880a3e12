package trace

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
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
}

// Exposure lists published ports, and with all the sockets of the host's processes, too.
func (t *Tracer) Exposure(all bool) []Exposed {
	list := []Exposed{}
	for _, a := range t.List {
		for _, p := range a.Ports {
			to, err := netip.ParseAddrPort(p.Container)
			if err != nil {
				continue
			}
			e := Exposed{
				Port: fmt.Sprintf("%s/%d", p.Protocol, p.HostPort), LeadsTo: p.Container, Holder: a.Name(),
				Sources: "everybody", Remark: t.remark(to),
			}
			host, _ := netip.ParseAddr(p.HostIP) // invalid for every address
			e.Links, e.Public = t.reached(host, to.Addr().Is4())
			if p.AllowFrom != nil {
				e.Sources = strings.Join(p.AllowFrom, ", ")
			}
			switch {
			case host.IsLoopback():
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
		return cmp.Or(strings.Compare(a.Port[:3], b.Port[:3]), cmp.Compare(number(a.Port), number(b.Port)))
	})
	return list
}

func number(port string) (n int) {
	_, after, _ := strings.Cut(port, "/")
	_, _ = fmt.Sscan(after, &n) // of our own making
	return n
}

// remark is what stands in the way.
func (t *Tracer) remark(to netip.AddrPort) string {
	probe := &Tracer{Node: t.Node, List: t.List, Chains: t.Chains}
	r := t.RouteTo(to.Addr())
	if r == nil {
		return "no route to the container"
	}
	if l := t.LinkAt(r.Link); l != nil && !probe.forward(l) {
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
			Port: fmt.Sprintf("%s/%d", s.Protocol, s.Addr.Port()), LeadsTo: s.Addr.String(), Holder: name(s.ProcessOf()), Sources: "everybody",
			Remark: "the input hook's rules decide",
		}
		host := s.Addr.Addr()
		if host.IsLoopback() {
			e.Sources, e.Remark = "the host only", ""
		}
		if host.IsUnspecified() {
			e.Links, e.Public = t.reached(netip.Addr{}, host.Is4())
		} else {
			e.Links, e.Public = t.reached(host, host.Is4())
		}
		list = append(list, e)
	}
	return list
}
