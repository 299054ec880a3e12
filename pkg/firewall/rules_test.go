package firewall

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

func testMasquerade() Masquerade {
	return Masquerade{Owner: world.Owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16"), netip.MustParsePrefix("fd00::2/64")}}
}

func testPorts() Ports {
	to := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	return Ports{
		Owner: world.Owner, Subnets: []netip.Prefix{netip.MustParsePrefix("10.88.0.0/16")},
		Ports: []hostport.Mapping{
			{Protocol: 6, HostPort: 8080, Container: to("10.88.0.2:80")},
			{Protocol: 6, HostPort: 8080, Container: to("[fd00::2]:80")},
			{HostIP: netip.MustParseAddr("127.0.0.1"), Protocol: 17, HostPort: 53, Container: to("10.88.0.2:53")},
		},
	}
}

// counts is how many elements of an owner there are, by set.
func count(w world.World, tag string) int {
	w.Helper()
	rules, err := w.Rules()
	w.Must(err)
	n := 0
	for _, set := range []string{"hostport4", "anyport4", "hostport6", "anyport6", "snat4", "snat6", "masquerade4", "masquerade6", "masqueraded", "published", "guarded", "macs", "bound", "hostgate4", "anygate4", "hostgate6", "anygate6"} {
		list, err := rules.List(set)
		w.Must(err)
		for _, e := range list {
			if label.Same(e.Comment, tag) {
				n++
			}
		}
	}
	return n
}

// drops deletes an element, as a person with nft(8) would.
func drops(e nft.Element) func(w world.World) {
	return func(w world.World) {
		rules, err := w.Rules()
		w.Must(err)
		_, err = rules.Delete(world.Owner.Tag(), []nft.Element{e}, 1)
		w.Must(err)
	}
}

// takes gives an element to another owner.
func takes(e nft.Element) func(w world.World) {
	return func(w world.World) {
		drops(e)(w)
		rules, err := w.Rules()
		w.Must(err)
		e.Comment = "482c2e79-00000000000 net/c9/eth0"
		w.Must(rules.Add(nft.Change{Elements: []nft.Element{e}}))
	}
}

func TestMasqueradeCheck(t *testing.T) {
	m := testMasquerade()
	other := m
	other.Exclude = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	e := m.elements()
	world.CheckTampered(t, m, []plan.Object{Rules{}}, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "an address", Change: drops(e[0]), Want: "masquerade: element masquerade4 { 10.88.0.2 } is missing"},
		{Name: "an IPv6 address", Change: drops(e[1]), Want: "masquerade: element masquerade6 { fd00::2 } is missing"},
		{Name: "the mark", Change: drops(e[2]), Want: `masquerade: element masqueraded { "vethfca877ccd11" } is missing`},
		{Name: "somebody's", Change: takes(e[0]), Want: "masquerade: owner of masquerade4 { 10.88.0.2 } is 482c2e79-00000000000 net/c9/eth0, expected 482c2e79-fca877ccd11"},
		{Name: "another chain", Change: func(w world.World) { w.Add(other) }, Want: "masquerade: element is masquerade4 { 10.88.0.2 : jump " + other.Chains()[0].Name + " }, expected masquerade4 { 10.88.0.2 : jump " + m.Chains()[0].Name +
			" }, element is masquerade6 { fd00::2 : jump " + other.Chains()[0].Name + " }, expected masquerade6 { fd00::2 : jump " + m.Chains()[0].Name + " }"},
	})
}

func TestPortsCheck(t *testing.T) {
	p := testPorts()
	e := p.elements()
	world.CheckTampered(t, p, []plan.Object{Rules{}}, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "a port", Change: drops(e[0]), Want: "published port: element anyport4 { tcp . 8080 } is missing"},
		{Name: "somebody's", Change: takes(e[0]), Want: "published port: owner of anyport4 { tcp . 8080 } is 482c2e79-00000000000 net/c9/eth0, expected 482c2e79-fca877ccd11"},
		{Name: "another target", Change: func(w world.World) {
			other := p
			other.Ports = slices.Clone(p.Ports)
			other.Ports[0].Container = netip.MustParseAddrPort("10.88.0.2:81")
			w.Add(other)
		}, Want: "published port: element is anyport4 { tcp . 8080 : 10.88.0.2 . 81 }, expected anyport4 { tcp . 8080 : 10.88.0.2 . 80 }"},
		{Name: "the reply path", Change: drops(e[1]), Want: "published port: element snat4 { 10.88.0.2 } is missing"},
	})
}

func TestGuardCheck(t *testing.T) {
	g := SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil)}
	e := g.elements()
	world.CheckTampered(t, g, []plan.Object{FrameRules{}}, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "the address", Change: drops(e[0]), Want: `macspoofchk: element macs { "vethfca877ccd11" . 96:89:fe:3e:2f:39 } is missing`},
		{Name: "the port", Change: drops(e[1]), Want: `macspoofchk: element guarded { "vethfca877ccd11" } is missing`},
	})
}

func TestBoundCheck(t *testing.T) {
	g := SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil), IPs: true, Addrs: []netip.Addr{netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("fd00::2")}}
	e := g.elements()
	const port = `{ "vethfca877ccd11" `
	world.CheckTampered(t, g, []plan.Object{FrameRules{}}, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "the MAC address", Change: drops(e[0]), Want: "ipspoofchk: element macs " + port + ". 96:89:fe:3e:2f:39 } is missing"},
		{
			Name: "the port's chain", Change: drops(e[1]), Want: "ipspoofchk: element bound " + port + "} is missing; " +
				"chain bridge bridgeport " + g.boundChain().Name + " is missing",
		},
		{Name: "the port", Change: drops(e[2]), Want: "ipspoofchk: element guarded " + port + "} is missing"},
	})
}

func TestRulesCheck(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		err := Rules{}.Check(w.Session)
		if err == nil || !strings.Contains(err.Error(), "chain inet bridgeport guard is missing") {
			t.Errorf("before: got %v", err)
		}
		w.Add(Rules{})
		w.WantCheck(Rules{}, "")
		w.Must(TidyRules(w.Session))
		if err := (Rules{}).Check(w.Session); err == nil {
			t.Error("after TidyRules: no difference")
		}
	})
}

// TestRulesDel: whatever DEL knows of an attachment, nothing stays, and nothing of
// another goes.
func TestRulesDel(t *testing.T) {
	other := plan.Owner{Network: "net", ContainerID: "c2", IfName: "eth0", Pod: ""}
	byOther := testPorts()
	byOther.Owner, byOther.Ports = other, []hostport.Mapping{{Protocol: 6, HostPort: 9090, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
	guard := SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil)}
	some := testPorts()
	some.Ports = some.Ports[:1]
	tests := []struct {
		name string
		del  []plan.Object
	}{
		{"all", []plan.Object{testPorts(), testMasquerade(), guard}},
		{"the owner alone", []plan.Object{Ports{Owner: world.Owner}, Masquerade{Owner: world.Owner}, SpoofCheck{Owner: world.Owner}}},
		{"less than there is", []plan.Object{some, Masquerade{Owner: world.Owner, Addrs: testMasquerade().Addrs[:1]}, SpoofCheck{Owner: world.Owner}}},
		{"something else", []plan.Object{
			Ports{Owner: world.Owner, Ports: byOther.Ports},
			Masquerade{Owner: world.Owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/16")}},
			SpoofCheck{Owner: world.Owner, MAC: other.ContainerMAC(nil)},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				w.Add(Rules{}, FrameRules{}, testPorts(), testMasquerade(), guard, byOther)
				before := count(w, other.Tag())
				if n := count(w, world.Owner.Tag()); n != 6+3+2 {
					t.Errorf("%d elements, want 11", n)
				}
				for range 2 { // absent is success
					w.Must(plan.Plan{Own: tt.del}.Del(w.Session))
				}
				if n := count(w, world.Owner.Tag()); n != 0 {
					t.Errorf("%d elements left", n)
				}
				if n := count(w, other.Tag()); n != before {
					t.Errorf("another's: %d elements, want %d", n, before)
				}
				w.WantCheck(byOther, "")
			})
		})
	}
}

// TestPortsTwice: a mapping that is given twice is made once, and goes.
func TestPortsTwice(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		p := testPorts()
		p.Ports = append(p.Ports, p.Ports[0])
		w.Add(Rules{}, p)
		w.WantCheck(p, "")
		w.Must(p.Del(w.Session))
		if n := count(w, world.Owner.Tag()); n != 0 {
			t.Errorf("%d elements left", n)
		}
	})
}

// TestPortsHeld: who comes second gets nothing, and what it had before stays whole.
func TestPortsHeld(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(link.Bridge{Name: "br0"}, someVeth(), Rules{}, testPorts())
		p := testPorts()
		p.Owner = plan.Owner{Network: "net", ContainerID: "c2", IfName: "eth0", Pod: ""}
		p.Ports = []hostport.Mapping{{Protocol: 6, HostPort: 9090, Container: netip.MustParseAddrPort("10.88.0.3:80")}, p.Ports[0]}
		err := plan.Plan{Own: []plan.Object{p}}.Add(w.Session)
		const want = "hostPort 8080/tcp is held by container c1 (network net, interface eth0): choose another port, or delete that container"
		if !errors.Is(err, plan.ErrConflict) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if n := count(w, p.Owner.Tag()); n != 0 {
			t.Errorf("%d elements of a failed attachment", n)
		}
		w.WantCheck(testPorts(), "")
	})
}

// TestPortsTwoNetworks: of a container's two networks the first keeps a port, with the
// clients that it has it for.
func TestPortsTwoNetworks(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		first, second := testPorts(), testPorts()
		first.Ports, second.Ports = slices.Clone(first.Ports[:1]), slices.Clone(second.Ports[:1])
		second.Owner.Network, second.Ports[0].Allow = "net2", &hostport.Allow{}
		second.Ports[0].Container = netip.MustParseAddrPort("10.99.0.2:80")
		w.Add(link.Bridge{Name: "br0"}, someVeth(), Rules{}, first, testMasquerade())
		w.Add(second)
		w.WantCheck(first, "")
		w.WantCheck(second, "")
		rules, err := w.Rules()
		w.Must(err)
		if gates, err := rules.List("anygate4"); err != nil || len(gates) != 0 {
			t.Errorf("the second network limits the first one's port: %v, %v", gates, err)
		}
		w.Must(second.Del(w.Session))
		w.WantCheck(first, "")

		// Where nothing is left of the first but its rules, the second has the port.
		w.Must(someVeth().Del(w.Session))
		w.Must(w.Flush())
		w.Add(second)
		w.WantCheck(second, "")
		elements, err := rules.List("anyport4")
		w.Must(err)
		if len(elements) != 1 || !label.Same(elements[0].Comment, second.Owner.Tag()) {
			t.Errorf("the port leads to %v", elements)
		}
	})
}

// TestDeleteOwnedSearch: where the ports are not known the maps are searched, and nobody
// else's connections are forgotten with them.
func TestDeleteOwnedSearch(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		other := testPorts()
		other.Owner = plan.Owner{Network: "net", ContainerID: "c2", IfName: "eth0", Pod: ""}
		other.Ports = []hostport.Mapping{{Protocol: 6, HostPort: 9090, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
		w.Add(Rules{}, testPorts(), other)
		gone, err := deleteOwned(w.Session, world.Owner, nft.MarkPublished, nil)
		w.Must(err)
		for _, e := range gone {
			if !label.Same(e.Comment, world.Owner.Tag()) {
				t.Errorf("%s", e)
			}
		}
		if n := count(w, world.Owner.Tag()); len(gone) == 0 || n != 0 {
			t.Errorf("%d elements returned, %d left", len(gone), n)
		}
		w.WantCheck(other, "")
	})
}

func TestRestrictionCheck(t *testing.T) {
	r := Restriction{
		Owner: world.Owner, Links: []string{"br0"}, Hidden: true, Connections: 100,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16"), netip.MustParsePrefix("fd00::2/64")},
	}
	e := r.elements()
	world.CheckTampered(t, r, []plan.Object{TrafficRules{}}, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "who reaches it", Change: drops(e[0]), Want: "restriction: element hidden4 { 10.88.0.2 } is missing"},
		{Name: "the limit", Change: drops(e[3]), Want: "restriction: element limited6 { fd00::2 } is missing"},
		{Name: "the mark", Change: drops(e[4]), Want: `restriction: element restricted { "vethfca877ccd11" } is missing`},
		{
			Name: "all", Change: func(w world.World) {
				w.Must(Restriction{Owner: world.Owner}.Del(w.Session))
				w.Must(TidyRules(w.Session))
			},
			Want: `restriction: element hidden4 { 10.88.0.2 } is missing, element hidden6 { fd00::2 } is missing, element limited4 { 10.88.0.2 } is missing, element limited6 { fd00::2 } is missing, element restricted { "vethfca877ccd11" } is missing; ` +
				"chain inet bridgeport " + ruleset.HideChain("net", []string{"br0"}).Name + " is missing; chain inet bridgeport " + ruleset.LimitChain("net", 100).Name + " is missing",
		},
	})
}

// TestAsRead: a DEL of as many ports as one attachment may have took seconds to look for each among all.
func TestAsRead(t *testing.T) {
	var known, gone []nft.Element
	for port := range uint16(20_000) {
		e := nft.HostPort(netip.Addr{}, 6, port, netip.MustParseAddrPort("10.88.0.2:80"), "")
		known = append(known, e)
		if e.Comment = "as read"; port%2 == 0 {
			gone = append(gone, e)
		}
	}
	begin := time.Now()
	list := asRead(known, gone)
	if took := time.Since(begin); took > time.Second*stage.Slow() {
		t.Errorf("took %s", took)
	}
	for i, e := range list {
		if !e.SameKey(known[i]) || (e.Comment == "as read") != (i%2 == 0) {
			t.Fatalf("element %d: %+v", i, e)
		}
	}
}
