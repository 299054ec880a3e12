package link

import (
	"errors"
	"net"
	"net/netip"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

// addresses of a link of the host, link-local ones aside.
func addresses(w world.World, name string) string {
	w.Helper()
	list, err := w.Session.Host.Addresses(w.Link(name).Attrs().Index)
	w.Must(err)
	var texts []string
	for _, p := range list {
		if p.Addr().Is4() || !p.Addr().IsLinkLocalUnicast() {
			texts = append(texts, p.String())
		}
	}
	slices.Sort(texts)
	return strings.Join(texts, " ")
}

func testVeth() Veth {
	return Veth{Owner: world.Owner, IfName: "eth0", Master: "br0", MTU: 1400, MAC: world.Owner.ContainerMAC(nil), Hairpin: true, Isolated: true}
}

func TestVethCheck(t *testing.T) {
	const host, cont = "veth vethfca877ccd11: ", "container link eth0: "
	name := world.Owner.LinkName()
	before := []plan.Object{Bridge{Name: "br0"}}
	up := plugged{testVeth()}
	world.CheckTampered(t, up, before, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "removed", Change: func(w world.World) { w.Must(netlink.LinkDel(w.Link(name))) }, Want: host + "link " + name + " is missing; " + cont + "link eth0 is missing"},
		{Name: "unplugged", Change: func(w world.World) { w.Must(netlink.LinkSetNoMaster(w.Link(name))) }, Want: host + "port of bridge br0 is missing"},
		{Name: "down", Change: func(w world.World) { w.Must(netlink.LinkSetDown(w.Link(name))) }, Want: host + "state is down, expected up, port state is disabled, expected forwarding"},
		{Name: "mtu", Change: func(w world.World) { w.Must(netlink.LinkSetMTU(w.Link(name), 1300)) }, Want: host + "mtu is 1300, expected 1400"},
		{Name: "hairpin", Change: func(w world.World) { w.Must(netlink.LinkSetHairpin(w.Link(name), false)) }, Want: host + "hairpin is false, expected true"},
		{Name: "isolated", Change: func(w world.World) { w.Must(netlink.LinkSetIsolated(w.Link(name), false)) }, Want: host + "isolated is false, expected true"},
		{Name: "container's down", Change: func(w world.World) { w.Inside("eth0", netlink.LinkSetDown) }, Want: host + "port state is disabled, expected forwarding; " + cont + "state is down, expected up"},
		{Name: "container's mtu", Change: func(w world.World) {
			w.Inside("eth0", func(l netlink.Link) error { return netlink.LinkSetMTU(l, 1300) })
		}, Want: cont + "mtu is 1300, expected 1400"},
		{Name: "container's MAC", Change: func(w world.World) {
			w.Inside("eth0", func(l netlink.Link) error {
				return netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0, 0, 0, 0, 1})
			})
		}, Want: cont + "mac is 02:00:00:00:00:01, expected 96:89:fe:3e:2f:39"},
		{Name: "container's renamed", Change: func(w world.World) {
			// Before Linux 6.2 a link that is up keeps its name.
			w.Inside("eth0", func(l netlink.Link) error {
				return errors.Join(netlink.LinkSetDown(l), netlink.LinkSetName(l, "eth9"), netlink.LinkSetUp(l))
			})
			w.Must(PortReady(world.Owner).Add(w.Session)) // only that differs
		}, Want: cont + "link eth0 is missing"},
	})
}

// plugged is a Veth with what brings it up.
type plugged struct{ Veth }

func (p plugged) Add(s *plan.Session) error {
	for _, o := range []plan.Object{p.Veth, LinkUp{p.IfName}, PortReady(p.Owner)} {
		if err := o.Add(s); err != nil {
			return err
		}
	}
	return nil
}

// TestVethMade: both ends as ordered, and nothing left after Del.
func TestVethMade(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		v := testVeth()
		v.IfDown = true
		w.Add(Bridge{Name: "br0"}, v)
		w.WantCheck(v, "")
		l := w.Link(world.Owner.LinkName()).Attrs()
		if l.Alias != world.Owner.Comment(255) || l.HardwareAddr.String() != world.Owner.HostMAC().String() {
			t.Errorf("got alias %q, MAC %s", l.Alias, l.HardwareAddr)
		}
		if got, err := netns.Sysctls(nil).Read("net/ipv6/conf/" + l.Name + "/disable_ipv6"); err != nil || got != "1" {
			t.Errorf("disable_ipv6: got %s, %v", got, err)
		}
		for range 2 { // absent is success
			w.Must(v.Del(w.Session))
		}
		links, err := dump.Whole(netlink.ErrDumpInterrupted, netlink.LinkList)
		if err != nil || len(links) != 2 {
			t.Errorf("left: %v, %v, want lo and br0", links, err)
		}
	})
}

func TestVethPlain(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		v := Veth{Owner: world.Owner, IfName: "eth0", MAC: world.Owner.ContainerMAC(nil), IfDown: true} // no bridge, the kernel's MTU
		w.Add(v)
		w.WantCheck(v, "")
	})
}

// TestVethConflict: which of the two names is taken.
func TestVethConflict(t *testing.T) {
	const inside = "CNI_IFNAME: eth0 exists already in the container: choose another name or DEL it first: conflict"
	const outside = "veth vethfca877ccd11: this attachment exists already: DEL it first: conflict"
	tests := []struct {
		name string
		make func(w world.World)
		want string
	}{
		{"neither", func(world.World) {}, ""},
		{"inside", func(w world.World) {
			w.Must(w.Cont.Do(func() error {
				return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "eth0"}})
			}))
		}, inside},
		{"outside", func(w world.World) {
			w.Must(netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: world.Owner.LinkName()}}))
		}, outside},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				tt.make(w)
				w.Add(Bridge{Name: "br0"})
				for verb, err := range map[string]error{"look": w.Vacant(world.Owner), "add": testVeth().Add(w.Session)} {
					got := ""
					if err != nil {
						got = err.Error()
					}
					if got != tt.want || err != nil && !errors.Is(err, plan.ErrConflict) {
						t.Errorf("%s: got %q, want %q", verb, got, tt.want)
					}
				}
			})
		})
	}
}

// TestPortReady: when it returns, the port carries packets.
func TestPortReady(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(Bridge{Name: "br0"}, testVeth(), LinkUp{"eth0"}, PortReady(world.Owner))
		link, err := w.Session.Host.Link(world.Owner.LinkName())
		w.Must(err)
		if !link.Oper || link.Port == nil || link.Port.State != 3 { // BR_STATE_FORWARDING
			t.Errorf("got %+v, port %+v", link, link.Port)
		}
	})
}

// TestPortReadyWaits: the event wakes it up, long before its limit.
func TestPortReadyWaits(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(Bridge{Name: "br0"}, testVeth())
		go func() {
			time.Sleep(100 * time.Millisecond)
			err := w.Cont.Do(func() error {
				l, err := netlink.LinkByName("eth0")
				if err != nil {
					return err
				}
				return netlink.LinkSetUp(l)
			})
			if err != nil {
				w.Error(err)
			}
		}()
		begin := time.Now()
		w.Must(PortReady(world.Owner).Add(w.Session))
		if took := time.Since(begin); took < 90*time.Millisecond || took > 2*time.Second {
			t.Errorf("returned after %s", took)
		}
	})
}

func TestAddrCheck(t *testing.T) {
	for _, text := range []string{"10.88.0.2/16", "fd00::2/64"} {
		a := Addr{IfName: "eth0", Prefix: netip.MustParsePrefix(text)}
		del := func(l netlink.Link) error {
			addr, err := netlink.ParseAddr(text)
			if err != nil {
				return err
			}
			return netlink.AddrDel(l, addr)
		}
		world.CheckTampered(t, a, []plan.Object{Bridge{Name: "br0"}, testVeth()}, []world.Tamper{
			{Name: "nothing", Change: func(world.World) {}, Want: ""},
			{Name: "removed", Change: func(w world.World) { w.Inside("eth0", del) }, Want: "container link eth0: address " + text + " is missing"},
			{Name: "another length", Change: func(w world.World) {
				w.Inside("eth0", func(l netlink.Link) error {
					addr, err := netlink.ParseAddr(strings.Split(text, "/")[0] + "/30")
					if err != nil {
						return err
					}
					return errors.Join(del(l), netlink.AddrAdd(l, addr))
				})
			}, Want: "container link eth0: address " + text + " is missing"},
		})
	}
}

// TestAddrBroadcast: as ip(8) sets it with "brd +".
func TestAddrBroadcast(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Add(Bridge{Name: "br0"}, testVeth(), Addr{"eth0", netip.MustParsePrefix("10.88.0.2/16")}, Addr{"eth0", netip.MustParsePrefix("10.89.0.2/31")})
		w.Inside("eth0", func(l netlink.Link) error {
			addrs, err := dump.Whole(netlink.ErrDumpInterrupted, func() ([]netlink.Addr, error) { return netlink.AddrList(l, netlink.FAMILY_V4) })
			if err != nil || len(addrs) != 2 || addrs[0].Broadcast.String() != "10.88.255.255" || addrs[1].Broadcast != nil {
				t.Errorf("got %v, %v", addrs, err)
			}
			return nil
		})
	})
}
