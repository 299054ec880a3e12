package kernel

import (
	"errors"
	"net/netip"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

func testMasquerade() Masquerade {
	return Masquerade{Owner: owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16"), netip.MustParsePrefix("fd00::2/64")}}
}

func testPorts() Ports {
	to := func(s string) netip.AddrPort { return netip.MustParseAddrPort(s) }
	return Ports{
		Owner: owner, Subnets: []netip.Prefix{netip.MustParsePrefix("10.88.0.0/16")},
		Ports: []Port{
			{Protocol: 6, HostPort: 8080, Container: to("10.88.0.2:80")},
			{Protocol: 6, HostPort: 8080, Container: to("[fd00::2]:80")},
			{HostIP: netip.MustParseAddr("127.0.0.1"), Protocol: 17, HostPort: 53, Container: to("10.88.0.2:53")},
		},
	}
}

// counts is how many elements of an owner there are, by set.
func count(w world, tag string) int {
	w.Helper()
	rules, err := w.Rules()
	w.must(err)
	n := 0
	for _, set := range []string{"hostport4", "anyport4", "hostport6", "anyport6", "snat4", "snat6", "masquerade4", "masquerade6", "masqueraded", "published", "guarded", "macs", "bound", "hostgate4", "anygate4", "hostgate6", "anygate6"} {
		list, err := rules.List(set)
		w.must(err)
		for _, e := range list {
			if SameTag(e.Comment, tag) {
				n++
			}
		}
	}
	return n
}

// drops deletes an element, as a person with nft(8) would.
func drops(e nft.Element) func(w world) {
	return func(w world) {
		rules, err := w.Rules()
		w.must(err)
		_, err = rules.Delete(owner.Tag(), []nft.Element{e}, 1)
		w.must(err)
	}
}

// takes gives an element to another owner.
func takes(e nft.Element) func(w world) {
	return func(w world) {
		drops(e)(w)
		rules, err := w.Rules()
		w.must(err)
		e.Comment = "482c2e79-00000000000 net/c9/eth0"
		w.must(rules.Add(nft.Change{Elements: []nft.Element{e}}))
	}
}

func TestMasqueradeCheck(t *testing.T) {
	m := testMasquerade()
	other := m
	other.Exclude = []netip.Prefix{netip.MustParsePrefix("10.9.0.0/16")}
	e := m.elements()
	checkTampered(t, m, []Object{Rules{}}, []tamper{
		{"nothing", func(world) {}, ""},
		{"an address", drops(e[0]), "masquerade: element masquerade4 { 10.88.0.2 } is missing"},
		{"an IPv6 address", drops(e[1]), "masquerade: element masquerade6 { fd00::2 } is missing"},
		{"the mark", drops(e[2]), `masquerade: element masqueraded { "vethfca877ccd11" } is missing`},
		{"somebody's", takes(e[0]), "masquerade: owner of masquerade4 { 10.88.0.2 } is 482c2e79-00000000000 net/c9/eth0, expected 482c2e79-fca877ccd11"},
		{"another chain", func(w world) { w.add(other) }, "masquerade: element is masquerade4 { 10.88.0.2 : jump " + other.chain().Name + " }, expected masquerade4 { 10.88.0.2 : jump " + m.chain().Name +
			" }, element is masquerade6 { fd00::2 : jump " + other.chain().Name + " }, expected masquerade6 { fd00::2 : jump " + m.chain().Name + " }"},
	})
}

func TestPortsCheck(t *testing.T) {
	p := testPorts()
	e := p.elements()
	checkTampered(t, p, []Object{Rules{}}, []tamper{
		{"nothing", func(world) {}, ""},
		{"a port", drops(e[0]), "published port: element anyport4 { tcp . 8080 } is missing"},
		{"somebody's", takes(e[0]), "published port: owner of anyport4 { tcp . 8080 } is 482c2e79-00000000000 net/c9/eth0, expected 482c2e79-fca877ccd11"},
		{"another target", func(w world) {
			other := p
			other.Ports = slices.Clone(p.Ports)
			other.Ports[0].Container = netip.MustParseAddrPort("10.88.0.2:81")
			w.add(other)
		}, "published port: element is anyport4 { tcp . 8080 : 10.88.0.2 . 81 }, expected anyport4 { tcp . 8080 : 10.88.0.2 . 80 }"},
		{"the reply path", drops(e[1]), "published port: element snat4 { 10.88.0.2 } is missing"},
	})
}

func TestGuardCheck(t *testing.T) {
	g := SpoofCheck{Owner: owner, MAC: owner.ContainerMAC(nil)}
	e := g.elements()
	checkTampered(t, g, []Object{FrameRules{}}, []tamper{
		{"nothing", func(world) {}, ""},
		{"the address", drops(e[0]), `macspoofchk: element macs { "vethfca877ccd11" . 96:89:fe:3e:2f:39 } is missing`},
		{"the port", drops(e[1]), `macspoofchk: element guarded { "vethfca877ccd11" } is missing`},
	})
}

func TestBoundCheck(t *testing.T) {
	g := SpoofCheck{Owner: owner, MAC: owner.ContainerMAC(nil), IPs: true, Addrs: []netip.Addr{netip.MustParseAddr("10.88.0.2"), netip.MustParseAddr("fd00::2")}}
	e := g.elements()
	const port = `{ "vethfca877ccd11" `
	checkTampered(t, g, []Object{FrameRules{}}, []tamper{
		{"nothing", func(world) {}, ""},
		{"the MAC address", drops(e[0]), "ipspoofchk: element macs " + port + ". 96:89:fe:3e:2f:39 } is missing"},
		{
			"the port's chain", drops(e[1]), "ipspoofchk: element bound " + port + "} is missing; " +
				"chain bridge bridgeport " + g.boundChain().Name + " is missing",
		},
		{"the port", drops(e[2]), "ipspoofchk: element guarded " + port + "} is missing"},
	})
}

func TestRulesCheck(t *testing.T) {
	inWorld(t, func(w world) {
		err := Rules{}.Check(w.Session)
		if err == nil || !strings.Contains(err.Error(), "chain inet bridgeport guard is missing") {
			t.Errorf("before: got %v", err)
		}
		w.add(Rules{})
		w.wantCheck(Rules{}, "")
		w.must(TidyRules(w.Session))
		if err := (Rules{}).Check(w.Session); err == nil {
			t.Error("after TidyRules: no difference")
		}
	})
}

// TestRulesDel: whatever DEL knows of an attachment, nothing stays, and nothing of
// another goes.
func TestRulesDel(t *testing.T) {
	other := Owner{"net", "c2", "eth0", ""}
	byOther := testPorts()
	byOther.Owner, byOther.Ports = other, []Port{{Protocol: 6, HostPort: 9090, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
	guard := SpoofCheck{Owner: owner, MAC: owner.ContainerMAC(nil)}
	some := testPorts()
	some.Ports = some.Ports[:1]
	tests := []struct {
		name string
		del  []Object
	}{
		{"all", []Object{testPorts(), testMasquerade(), guard}},
		{"the owner alone", []Object{Ports{Owner: owner}, Masquerade{Owner: owner}, SpoofCheck{Owner: owner}}},
		{"less than there is", []Object{some, Masquerade{Owner: owner, Addrs: testMasquerade().Addrs[:1]}, SpoofCheck{Owner: owner}}},
		{"something else", []Object{
			Ports{Owner: owner, Ports: byOther.Ports},
			Masquerade{Owner: owner, Addrs: []netip.Prefix{netip.MustParsePrefix("10.9.0.2/16")}},
			SpoofCheck{Owner: owner, MAC: other.ContainerMAC(nil)},
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			inWorld(t, func(w world) {
				w.add(Rules{}, FrameRules{}, testPorts(), testMasquerade(), guard, byOther)
				before := count(w, other.Tag())
				if n := count(w, owner.Tag()); n != 6+3+2 {
					t.Errorf("%d elements, want 11", n)
				}
				for range 2 { // absent is success
					w.must(Plan{Own: tt.del}.Del(w.Session))
				}
				if n := count(w, owner.Tag()); n != 0 {
					t.Errorf("%d elements left", n)
				}
				if n := count(w, other.Tag()); n != before {
					t.Errorf("another's: %d elements, want %d", n, before)
				}
				w.wantCheck(byOther, "")
			})
		})
	}
}

// TestPortsTwice: a mapping that is given twice is made once, and goes.
func TestPortsTwice(t *testing.T) {
	inWorld(t, func(w world) {
		p := testPorts()
		p.Ports = append(p.Ports, p.Ports[0])
		w.add(Rules{}, p)
		w.wantCheck(p, "")
		w.must(p.Del(w.Session))
		if n := count(w, owner.Tag()); n != 0 {
			t.Errorf("%d elements left", n)
		}
	})
}

// TestPortsHeld: who comes second gets nothing, and what it had before stays whole.
func TestPortsHeld(t *testing.T) {
	inWorld(t, func(w world) {
		w.add(Bridge{Name: "br0"}, testVeth(), Rules{}, testPorts())
		p := testPorts()
		p.Owner = Owner{"net", "c2", "eth0", ""}
		p.Ports = []Port{{Protocol: 6, HostPort: 9090, Container: netip.MustParseAddrPort("10.88.0.3:80")}, p.Ports[0]}
		err := Plan{Own: []Object{p}}.Add(w.Session)
		const want = "hostPort 8080/tcp is held by container c1 (network net, interface eth0): choose another port, or delete that container"
		if !errors.Is(err, ErrConflict) || err.Error() != want {
			t.Errorf("got  %v\nwant %s", err, want)
		}
		if n := count(w, p.Owner.Tag()); n != 0 {
			t.Errorf("%d elements of a failed attachment", n)
		}
		w.wantCheck(testPorts(), "")
	})
}

// TestPortsTwoNetworks: of a container's two networks the first keeps a port, with the
// clients that it has it for.
func TestPortsTwoNetworks(t *testing.T) {
	inWorld(t, func(w world) {
		first, second := testPorts(), testPorts()
		first.Ports, second.Ports = slices.Clone(first.Ports[:1]), slices.Clone(second.Ports[:1])
		second.Owner.Network, second.Ports[0].Allow = "net2", &Allow{}
		second.Ports[0].Container = netip.MustParseAddrPort("10.99.0.2:80")
		w.add(Bridge{Name: "br0"}, testVeth(), Rules{}, first)
		w.add(second)
		w.wantCheck(first, "")
		w.wantCheck(second, "")
		rules, err := w.Rules()
		w.must(err)
		if gates, err := rules.List("anygate4"); err != nil || len(gates) != 0 {
			t.Errorf("the second network limits the first one's port: %v, %v", gates, err)
		}
		w.must(second.Del(w.Session))
		w.wantCheck(first, "")

		// Where nothing is left of the first but its rules, the second has the port.
		w.must(testVeth().Del(w.Session))
		w.must(w.Flush())
		w.add(second)
		w.wantCheck(second, "")
		elements, err := rules.List("anyport4")
		w.must(err)
		if len(elements) != 1 || !SameTag(elements[0].Comment, second.Owner.Tag()) {
			t.Errorf("the port leads to %v", elements)
		}
	})
}

// TestDeleteOwnedSearch: where the ports are not known the maps are searched, and nobody
// else's connections are forgotten with them.
func TestDeleteOwnedSearch(t *testing.T) {
	inWorld(t, func(w world) {
		other := testPorts()
		other.Owner = Owner{"net", "c2", "eth0", ""}
		other.Ports = []Port{{Protocol: 6, HostPort: 9090, Container: netip.MustParseAddrPort("10.88.0.3:80")}}
		w.add(Rules{}, testPorts(), other)
		gone, err := deleteOwned(w.Session, owner, "published", portMaps(), nil)
		w.must(err)
		for _, e := range gone {
			if !SameTag(e.Comment, owner.Tag()) {
				t.Errorf("%s", e)
			}
		}
		if n := count(w, owner.Tag()); len(gone) == 0 || n != 0 {
			t.Errorf("%d elements returned, %d left", len(gone), n)
		}
		w.wantCheck(other, "")
	})
}

func TestRestrictionCheck(t *testing.T) {
	r := Restriction{
		Owner: owner, Link: "br0", Connections: 100,
		Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16"), netip.MustParsePrefix("fd00::2/64")},
	}
	e := r.elements()
	checkTampered(t, r, []Object{TrafficRules{}}, []tamper{
		{"nothing", func(world) {}, ""},
		{"who reaches it", drops(e[0]), "restriction: element hidden4 { 10.88.0.2 } is missing"},
		{"the limit", drops(e[3]), "restriction: element limited6 { fd00::2 } is missing"},
		{"the mark", drops(e[4]), `restriction: element restricted { "vethfca877ccd11" } is missing`},
		{
			"all", func(w world) { w.must(Restriction{Owner: owner}.Del(w.Session)); w.must(TidyRules(w.Session)) },
			`restriction: element hidden4 { 10.88.0.2 } is missing, element hidden6 { fd00::2 } is missing, element limited4 { 10.88.0.2 } is missing, element limited6 { fd00::2 } is missing, element restricted { "vethfca877ccd11" } is missing; ` +
				"chain inet bridgeport " + nft.HideChain("net", "br0").Name + " is missing; chain inet bridgeport " + nft.LimitChain("net", 100).Name + " is missing",
		},
	})
}
