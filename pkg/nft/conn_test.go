package nft

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"
)

// Two attachments. A tag is what comments begin with.
const (
	tagA = "482c2e79-aaaaaaaaaaa"
	tagB = "482c2e79-bbbbbbbbbbb"
	byA  = tagA + " net/a/eth0"
	byB  = tagB + " net/b/eth0"
)

var other4 = netip.MustParseAddr("10.88.0.3")

// attachment is one of each kind of element.
func attachment(addr netip.Addr, port uint16, comment string) Change {
	link := "veth" + comment[9:20]
	return Change{
		Blocks: []Block{Base()}, Chains: []Chain{masqChain, snatChain},
		Elements: []Element{
			HostPort(noAddr, 6, port, netip.AddrPortFrom(addr, 80), comment),
			OfContainer(ClassReply, addr, snatChain.Name, comment),
			Holder("published", link, comment),
			OfContainer(ClassMasquerade, addr, masqChain.Name, comment),
			Holder("masqueraded", link, comment),
		},
	}
}

func add(t *testing.T, c *Conn, change Change) {
	t.Helper()
	if err := c.Add(change); err != nil {
		t.Error(err)
	}
}

// held lists all elements as nft prints them, with the tag's first letter.
func held(t *testing.T, c *Conn) []string {
	t.Helper()
	var all []string
	for _, s := range sets {
		list, err := c.List(s.Name)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range list {
			all = append(all, e.Target()+" "+e.Comment[9:10])
		}
	}
	slices.Sort(all)
	return all
}

func wantHeld(t *testing.T, c *Conn, want ...string) {
	t.Helper()
	slices.Sort(want)
	if got := held(t, c); !slices.Equal(got, want) {
		t.Errorf("got:\n%s\nwant:\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
}

// ofA is what attachment(addr4, 8080, byA) makes.
func ofA() []string {
	return []string{
		"anyport4 { tcp . 8080 : 10.88.0.2 . 80 } a",
		"snat4 { 10.88.0.2 : jump " + snatChain.Name + " } a",
		`published { "vethaaaaaaaaaaa" } a`,
		"masquerade4 { 10.88.0.2 : jump " + masqChain.Name + " } a",
		`masqueraded { "vethaaaaaaaaaaa" } a`,
	}
}

// TestAddFindList: what is written reads back the same, and writing it again changes
// nothing.
func TestAddFindList(t *testing.T) {
	withConn(t, func(c *Conn) {
		change := attachment(addr4, 8080, byA)
		for range 2 {
			add(t, c, change)
			wantHeld(t, c, ofA()...)
		}
		for _, e := range change.Elements {
			got, found, err := c.Find(e)
			if err != nil || !found || got.Target() != e.Target() || got.Comment != byA {
				t.Errorf("%s: got %s, %t, %v", e.Name(), got.Target(), found, err)
			}
		}
		if _, found, err := c.Find(HostPort(noAddr, 17, 8080, to4, "")); found || err != nil {
			t.Errorf("another protocol: got %t, %v", found, err)
		}
	})
}

// TestEmpty: where there is no table, nothing is found and nothing has to be deleted.
func TestEmpty(t *testing.T) {
	withConn(t, func(c *Conn) {
		wantHeld(t, c)
		e := HostPort(noAddr, 6, 8080, to4, byA)
		if _, found, err := c.Find(e); found || err != nil {
			t.Errorf("find: got %t, %v", found, err)
		}
		if _, err := c.Delete(tagA, []Element{e}, 0); err != nil {
			t.Errorf("delete: %v", err)
		}
		if err := errors.Join(c.Tidy(), c.Retire(none, noChain)); err != nil {
			t.Errorf("retire: %v", err)
		}
		bad, err := c.Missing(baseChains()...)
		if err != nil || len(bad) != len(baseChains()) || bad[0].Chain+bad[0].Text != "chain inet bridgeport hostports is missing" {
			t.Errorf("missing: got %q, %v", bad, err)
		}
	})
}

// TestHeld: a port has one owner. Whoever comes second gets nothing at all, and is
// told who has it.
func TestHeld(t *testing.T) {
	withConn(t, func(c *Conn) {
		add(t, c, attachment(addr4, 8080, byA))
		for _, to := range []netip.Addr{other4, addr4} { // another target, and the same
			change := Change{Elements: []Element{
				HostPort(noAddr, 6, 9090, netip.AddrPortFrom(to, 80), byB),
				HostPort(noAddr, 6, 8080, netip.AddrPortFrom(to, 80), byB),
			}}
			err := c.Add(change)
			var held *HeldError
			if !errors.As(err, &held) || held.Holder != byA || held.Error() != "anyport4 { tcp . 8080 } is held by "+byA {
				t.Errorf("to %s: got %v", to, err)
			}
		}
		wantHeld(t, c, ofA()...)
		// What was queued before the conflict does not come with the next change.
		add(t, c, Change{Elements: []Element{HostPort(noAddr, 6, 7070, to4, byA)}})
		wantHeld(t, c, append(ofA(), "anyport4 { tcp . 7070 : 10.88.0.2 . 80 } a")...)
		// One address of the host is another key than all of them.
		add(t, c, Change{Elements: []Element{HostPort(netip.MustParseAddr("127.0.0.1"), 6, 8080, netip.AddrPortFrom(other4, 80), byB)}})
	})
}

// TestChange: the same owner may change its own target.
func TestChange(t *testing.T) {
	withConn(t, func(c *Conn) {
		add(t, c, attachment(addr4, 8080, byA))
		add(t, c, Change{Elements: []Element{HostPort(noAddr, 6, 8080, netip.AddrPortFrom(addr4, 81), byA)}})
		want := ofA()
		want[0] = "anyport4 { tcp . 8080 : 10.88.0.2 . 81 } a"
		wantHeld(t, c, want...)
	})
}

// TestSuccessor: an address that was given to another container belongs to it, and a
// late DEL of the first leaves it alone.
func TestSuccessor(t *testing.T) {
	withConn(t, func(c *Conn) {
		a, b := attachment(addr4, 8080, byA), attachment(addr4, 9090, byB)
		add(t, c, a)
		add(t, c, b)
		if _, err := c.Delete(tagA, a.Elements, 0); err != nil {
			t.Error(err)
		}
		var want []string
		for _, s := range ofA() {
			s = strings.NewReplacer("8080", "9090", "vethaaaaaaaaaaa", "vethbbbbbbbbbbb", "} a", "} b").Replace(s)
			want = append(want, s)
		}
		wantHeld(t, c, want...)
		if _, err := c.Delete(tagB, b.Elements, len(b.Elements)); err != nil {
			t.Error(err)
		}
		wantHeld(t, c)
	})
}

// TestDelete: absent is success, and deleting twice is, too.
func TestDelete(t *testing.T) {
	withConn(t, func(c *Conn) {
		a := attachment(addr4, 8080, byA)
		add(t, c, a)
		// Known to have more than are named: nothing is deleted, so that the caller
		// can search.
		if _, err := c.Delete(tagA, a.Elements[:2], 5); !errors.Is(err, ErrFewer) {
			t.Errorf("got %v, want %v", err, ErrFewer)
		}
		wantHeld(t, c, ofA()...)
		if _, err := c.Delete(tagA, a.Elements[:2], 2); err != nil {
			t.Error(err)
		}
		wantHeld(t, c, ofA()[2:]...)
		for range 2 {
			if _, err := c.Delete(tagA, a.Elements, 0); err != nil {
				t.Error(err)
			}
			wantHeld(t, c)
		}
	})
}

// TestTwice: an element that is named twice in one change.
func TestTwice(t *testing.T) {
	withConn(t, func(c *Conn) {
		e := HostPort(noAddr, 6, 8080, to4, byA)
		add(t, c, Change{Blocks: []Block{Base()}, Elements: []Element{e, e}})
		wantHeld(t, c, ofA()[0])
		if _, err := c.Delete(tagA, []Element{e, e}, 0); err != nil {
			t.Error(err)
		}
		wantHeld(t, c)
	})
}

// TestMany: a change larger than a socket's buffer goes through as a whole.
func TestMany(t *testing.T) {
	withConn(t, func(c *Conn) {
		change := Change{Blocks: []Block{Base()}}
		for port := range uint16(3000) {
			change.Elements = append(change.Elements, HostPort(noAddr, 6, port+1, to4, byA))
		}
		add(t, c, change)
		if list, err := c.List("anyport4"); err != nil || len(list) != len(change.Elements) {
			t.Errorf("got %d elements, %v", len(list), err)
		}
		if _, err := c.Delete(tagA, change.Elements, len(change.Elements)); err != nil {
			t.Error(err)
		}
		wantHeld(t, c)
	})
}

// TestTidyRetire: chains and tables go when nothing needs them, not before.
func TestTidyRetire(t *testing.T) {
	withConn(t, func(c *Conn) {
		a := attachment(addr4, 8080, byA)
		add(t, c, a)
		exists := func(want string) {
			t.Helper()
			var have []string
			for _, ch := range []Chain{baseChains()[0], masqChain, snatChain} {
				if bad, err := c.Missing(ch); err != nil {
					t.Error(err)
				} else if len(bad) == 0 {
					have = append(have, ch.Name[:4])
				}
			}
			if got := fmt.Sprint(have); got != want {
				t.Errorf("got %s, want %s", got, want)
			}
		}
		steps := []struct {
			del  []Element
			want string
		}{
			{nil, "[host masq snat]"},
			{a.Elements[:3], "[host masq]"}, // the ports
			{a.Elements[3:], "[]"},          // the masquerade
		}
		for _, s := range steps {
			_, err := c.Delete(tagA, s.del, 0)
			if err := errors.Join(err, c.Tidy(), c.Retire(none, noChain)); err != nil {
				t.Error(err)
			}
			exists(s.want)
		}
	})
}

func noChain(string) bool { return false }

// none says that neither table is needed for its rules alone.
func none() (base, link bool, err error) { return false, false, nil }

// TestCloseAfterDelete: whoever closes the socket in the end, it is soon gone, and with
// it everything that it was queued in.
func TestCloseAfterDelete(t *testing.T) {
	err := space(t).Do(func() error {
		c, err := Open()
		if err != nil {
			return err
		}
		change := attachment(other4, 8080, byA)
		add(t, c, change)
		if gone, err := c.Delete(tagA, change.Elements, 0); err != nil || len(gone) != len(change.Elements) {
			t.Errorf("%d elements are deleted: %v", len(gone), err)
		}
		if n := sockets(t); n != 1 {
			t.Errorf("%d sockets before Close", n)
		}
		if err := c.Close(); err != nil {
			return err
		}
		for end := time.Now().Add(30 * time.Second); sockets(t) > 0; time.Sleep(time.Millisecond) {
			if time.Now().After(end) {
				t.Fatal("the socket is still there")
			}
		}
		return nil
	})
	if err != nil {
		t.Error(err)
	}
}

// sockets counts those to nf_tables and its like in the thread's network namespace.
func sockets(t *testing.T) (n int) {
	t.Helper()
	list, err := os.ReadFile("/proc/thread-self/net/netlink")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(string(list)) {
		if f := strings.Fields(line); f[1] == fmt.Sprint(unix.NETLINK_NETFILTER) && f[2] != "0" { // the kernel's own
			n++
		}
	}
	return n
}
