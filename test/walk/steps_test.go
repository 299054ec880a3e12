package walk

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// kind is one kind of step. do says what it did, or "" where it was not possible.
type kind struct {
	name   string
	weight int
	do     func(w *world) string
}

var kinds = []kind{
	{"add", 34, (*world).stepAdd},
	{"add of a live one", 5, (*world).stepAddLive},
	{"del", 18, (*world).stepDel},
	{"del again", 6, (*world).stepDelAgain},
	{"check", 10, (*world).stepCheck},
	{"gc", 6, (*world).stepGC},
	{"change", 6, (*world).stepChange},
	{"new network", 5, (*world).stepNewNetwork},
	{"lose", 5, (*world).stepLose},
	{"publish", 6, (*world).stepPublish},
	{"unpublish", 3, (*world).stepUnpublish},
}

// step does one thing at random.
func (w *world) step(i int) {
	w.t.Helper()
	kinds := slices.Concat(kinds, enemies)
	for {
		total := 0
		for _, k := range kinds {
			total += k.weight
		}
		at := w.rng.IntN(total)
		for _, k := range kinds {
			if at -= k.weight; at >= 0 {
				continue
			}
			if text := k.do(w); text != "" {
				w.kinds[k.name]++
				w.t.Logf("%3d %s: %s", i, k.name, text)
				return
			}
			break
		}
	}
}

// stepAdd attaches a new container, or a known one once more.
func (w *world) stepAdd() string {
	a := &attachment{net: pick(w, w.slots[:])}
	a.box = w.boxFor(a.net)
	if a.box == nil {
		return ""
	}
	a.ifName = w.freeName(a.box)
	a.plugins, a.masq = a.net.plugins(w.Data()), a.net.masq
	// Of two networks of one container the first keeps a port that both publish; here one
	// alone has ports.
	published := w.of(func(o *attachment) bool { return o.box == a.box && len(o.ports) > 0 })
	if a.net.publish != noPorts && len(published) == 0 {
		for _, n := range w.rng.Perm(12)[:w.rng.IntN(3)] {
			a.ports = append(a.ports, w.port(a.net, n))
		}
	}
	code, why := w.obstacle(a)
	err := w.add(a)
	text := fmt.Sprintf("%s ports %v to %v", a, a.ports, a.net)
	if dead := w.unproven(a); code == 0 && err != nil && dead != "" {
		code, why = 101, dead
	}
	if w.full && err != nil && len(a.net.subnets) > 0 {
		code, why = w.refusal(err), "no inodes"
	}
	if code == 0 {
		if err != nil {
			w.t.Fatalf("%s: %v", text, err)
		}
		a.mtu = w.bridgeMTU(a.net.bridge)
		w.attached = append(w.attached, a)
		return fmt.Sprintf("%s → %v", text, a.addrs)
	}
	var failed *callError
	if !errors.As(err, &failed) || failed.code() != code {
		w.t.Fatalf("%s: %v, want code %d because of %s", text, err, code, why)
	}
	// Where portmap failed behind bridge, the runtime's DEL has to follow; where bridge
	// failed, it may be missing.
	if failed.plugin == "portmap" || w.rng.IntN(2) == 0 {
		a.result = nil
		w.Must(w.del(a, a.asAdded()))
	}
	w.kinds["add, refused with "+fmt.Sprint(code)]++
	return text + " fails as it should: " + why
}

// refusal is the code of an ADD for which the disk has no room: of no address (102), or of the disk.
func (w *world) refusal(err error) uint {
	var failed *callError
	if errors.As(err, &failed) && failed.code() == 5 {
		return 5
	}
	return 102
}

// port is one of 12, on all addresses of the host or on one.
func (w *world) port(n *network, number int) map[string]any {
	p := stage.Port(pick(w, []string{"tcp", "udp"}), 8000+number, 80)
	if n.has4() && w.rng.IntN(4) == 0 {
		p["hostPort"], p["hostIP"] = 8100+number, stage.HostV4
	}
	return p
}

// obstacle predicts that an ADD fails, by its code and reason.
func (w *world) obstacle(a *attachment) (code uint, why string) {
	leases := len(w.of(func(o *attachment) bool { return o.net == a.net && !o.forgotten() }))
	if a.net.pool > 0 && a.net.has4() && leases >= a.net.pool {
		return 102, "a full pool"
	}
	// Nobody uses the ports of a lost one: they are taken over.
	if key, o := w.samePort(a, func(o *attachment) bool { return !o.box.lost }); o != nil {
		return 101, "port " + key + " of " + o.String()
	}
	if other := w.otherGateway(a.net); other != "" {
		return 101, "gateway " + other
	}
	return 0, ""
}

// otherGateway is the IPv4 address that keeps a network's gateway off a bridge of the host's own: such a
// bridge has the host's addresses, and more than one only where the host gave it both.
func (w *world) otherGateway(n *network) (other string) {
	if w.handmade[n.bridge] == nil || n.gateway == "" || !n.has4() {
		return ""
	}
	for _, a := range stage.AddrList(w.Host, n.bridge) {
		addr, _ := netip.AddrFromSlice(a.IP)
		switch addr = addr.Unmap(); {
		case slices.ContainsFunc(n.subnets, func(s netip.Prefix) bool { return s.Contains(addr) }):
			return ""
		case addr.Is4():
			other = addr.String()
		}
	}
	return other
}

// unproven names a lost attachment that has one of the ports, and no masquerade: without a route
// to its address nothing proves that bridge made its link. Another plugin may have, under
// another name.
func (w *world) unproven(a *attachment) string {
	if key, o := w.samePort(a, func(o *attachment) bool { return o.box.lost && !o.masq }); o != nil {
		return "port " + key + " of " + o.String() + ", whose end has no proof"
	}
	return ""
}

// samePort is an attachment of those with a port of a's; nil for none.
func (w *world) samePort(a *attachment, is func(*attachment) bool) (key string, holder *attachment) {
	for _, o := range w.of(is) {
		for _, key := range o.portKeys() {
			if slices.Contains(a.portKeys(), key) {
				return key, o
			}
		}
	}
	return "", nil
}

// boxFor is a container that the network fits: one default route is enough.
func (w *world) boxFor(n *network) *box {
	if len(w.boxes) > 0 && (len(w.boxes) >= maxBoxes || w.rng.IntN(3) == 0) {
		b := pick(w, w.boxes)
		links := w.of(func(a *attachment) bool { return a.box == b })
		second := slices.ContainsFunc(links, func(a *attachment) bool { return a.net.gateway == "isDefaultGateway" })
		if len(links) >= 3 || second && n.gateway == "isDefaultGateway" {
			return nil
		}
		return b
	}
	return w.newBox()
}

func (w *world) freeName(b *box) string {
	for i := 0; ; i++ {
		name := fmt.Sprintf("eth%d", i)
		if len(w.of(func(a *attachment) bool { return a.box == b && a.ifName == name })) == 0 {
			return name
		}
	}
}

// stepAddLive must fail and change nothing.
func (w *world) stepAddLive() string {
	alive := w.alive()
	if len(alive) == 0 {
		return ""
	}
	a := pick(w, alive)
	again := *a
	again.result = nil
	var failed *callError
	if err := w.add(&again); !errors.As(err, &failed) || failed.code() != 101 {
		w.t.Fatalf("ADD of %s, which is attached: %v, want code 101", a, err)
	}
	w.expectCheck(a)
	return a.String()
}

// stepDel detaches, by a call that may lack what runtimes lose.
func (w *world) stepDel() string {
	if len(w.attached) == 0 {
		return ""
	}
	a := pick(w, w.attached)
	q, text := w.someAsks(a)
	if err := w.del(a, q); err != nil {
		w.t.Fatalf("DEL of %s%s: %v", a, text, err)
	}
	w.forget(a)
	w.expectGone(a)
	if !a.box.lost {
		w.expectNoLink(a)
		if w.rng.IntN(2) == 0 && len(w.of(func(o *attachment) bool { return o.box == a.box })) == 0 {
			w.end(a.box)
			text += ", and the container ends"
		}
	}
	return a.String() + text
}

func (w *world) someAsks(a *attachment) (q asks, text string) {
	q = a.asAdded()
	if w.rng.IntN(3) == 0 {
		q.netns, text = "", text+", without netns"
	}
	if w.rng.IntN(3) == 0 {
		q.prev, text = nil, text+", without prevResult"
	}
	if w.rng.IntN(3) == 0 {
		q.ports, text = nil, text+", without ports"
	}
	if w.rng.IntN(2) == 0 {
		q.plugins, text = a.net.plugins(w.Data()), text+", by the configuration of today"
	}
	return q, text
}

func (w *world) expectNoLink(a *attachment) {
	w.t.Helper()
	err := a.box.Do(func() error {
		_, err := netlink.LinkByName(a.ifName)
		return err
	})
	if !errors.As(err, new(netlink.LinkNotFoundError)) {
		w.t.Fatalf("%s after DEL: look for the link: %v", a, err)
	}
}

// stepDelAgain repeats a DEL; everything that it names may be somebody else's by now.
func (w *world) stepDelAgain() string {
	var list []*attachment
	for _, d := range w.detached {
		if len(w.of(d.same)) == 0 {
			list = append(list, d)
		}
	}
	if len(list) == 0 {
		return ""
	}
	a := pick(w, list)
	q, text := w.someAsks(a)
	if err := w.del(a, q); err != nil {
		w.t.Fatalf("repeated DEL of %s%s: %v", a, text, err)
	}
	return a.String() + text
}

func (w *world) stepCheck() string {
	alive := w.alive()
	if len(alive) == 0 {
		return ""
	}
	a := pick(w, alive)
	w.expectCheck(a)
	return a.String()
}

// stepGC collects what the lost containers of a network have left.
func (w *world) stepGC() string {
	n := pick(w, w.slots[:])
	if err := w.gc(n); err != nil {
		w.t.Fatalf("GC of %v: %v", n, err)
	}
	lost := w.of(func(a *attachment) bool { return a.net == n && a.box.lost })
	w.forget(lost...)
	for _, a := range lost {
		w.expectGone(a)
	}
	return n.name
}

func (w *world) stepChange() string {
	n := pick(w, w.slots[:])
	w.change(n)
	return n.String()
}

// stepNewNetwork replaces a network that nobody is attached to, with or without a last
// GC.
func (w *world) stepNewNetwork() string {
	var empty []int
	for i, n := range w.slots {
		if len(w.of(func(a *attachment) bool { return a.net == n })) == 0 {
			empty = append(empty, i)
		}
	}
	if len(empty) == 0 {
		return ""
	}
	slot := pick(w, empty)
	old := w.slots[slot]
	text := "in place of " + old.name
	if w.rng.IntN(2) == 0 {
		w.Must(w.gc(old))
		text += ", collected"
	}
	return w.replace(slot).String() + " " + text
}

// stepLose ends a container behind the runtime's back.
func (w *world) stepLose() string {
	alive := w.alive()
	if len(alive) == 0 {
		return ""
	}
	b := pick(w, alive).box
	w.end(b)
	return b.ID
}
