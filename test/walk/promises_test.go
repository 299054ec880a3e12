package walk

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

var (
	// patience is how long an answer may take: far more than it needs on a busy machine.
	patience = stage.Slow() * 5 * time.Second
	// burial is how long the links of a dead namespace may stay: one worker of the
	// kernel takes the namespaces of the whole machine apart (cleanup_net).
	burial = stage.Slow() * 30 * time.Second
)

// expectPromises looks at what must hold after every step.
func (w *world) expectPromises() {
	w.t.Helper()
	holders := make(map[string]*attachment)
	leases := make(map[string][]string)
	for _, a := range w.attached {
		// An ADD leases anew what living containers use.
		unleased := func(addr netip.Addr) bool { return !w.isLeased(a.net.name, addr) }
		a.unleased = a.unleased && (a.box.lost || slices.ContainsFunc(a.addrs, unleased))
		var keys []string
		if !a.box.lost { // or another may have its ports by now
			keys = a.portKeys()
		}
		for _, addr := range a.addrs {
			if !a.forgotten() {
				keys = append(keys, addr.String())
			}
			if !a.unleased || !a.box.lost && w.isLeased(a.net.name, addr) {
				leases[a.net.name] = append(leases[a.net.name], addr.String())
			}
		}
		for _, key := range keys {
			if other := holders[key]; other != nil {
				w.t.Fatalf("%s and %s both have %s", other, a, key)
			}
			holders[key] = a
		}
	}
	for _, n := range w.slots {
		have, want := w.leases(n.name), leases[n.name]
		slices.Sort(have)
		slices.Sort(want)
		if !slices.Equal(have, want) {
			w.t.Fatalf("network %s has leases %v, want %v", n.name, have, want)
		}
	}
	w.expectHandmade()
	if alive := w.alive(); len(alive) > 0 {
		w.expectCheck(pick(w, alive))
	}
}

// expectCheck wants CHECK to pass, unless another ADD has changed the MTU of the
// bridge in the meantime, or the lease was removed: that CHECK tells of.
func (w *world) expectCheck(a *attachment) {
	w.t.Helper()
	if a.unleased || w.bridgeMTU(a.net.bridge) != a.mtu {
		return
	}
	if err := w.check(a); err != nil {
		w.t.Fatalf("CHECK of %s: %v", a, err)
	}
}

// probeAll wants an answer from each live container by all ways that lead to it.
func (w *world) probeAll() {
	w.t.Helper()
	alive := w.alive()
	for _, a := range alive {
		w.probe(a)
	}
	w.expectLinks(len(alive))
}

// bound says whether the container answers by another link in the same subnet, and a link may send from its
// own addresses only.
func (w *world) bound(a *attachment) bool {
	confined := func(a *attachment) bool { return a.plugins[0]["egress"] != nil }
	return slices.ContainsFunc(w.alive(), func(b *attachment) bool {
		return b != a && b.box == a.box && b.net == a.net && (confined(a) || confined(b))
	})
}

func (w *world) probe(a *attachment) {
	w.t.Helper()
	if a.net.gateway == "" {
		return // the host has no address in the network
	}
	if w.bound(a) {
		return
	}
	for _, addr := range a.addrs {
		for _, network := range []string{"tcp", "udp"} {
			if _, err := w.Host.Ask(network, netip.AddrPortFrom(addr, 80).String(), patience); err != nil {
				w.t.Fatalf("%s does not answer the host: %v", a, err)
			}
		}
		if _, err := w.Host.Ping(addr.String(), patience); err != nil {
			w.t.Fatalf("%s does not answer the host: %v", a, err)
		}
		w.probePorts(a, addr)
		w.probeWayOut(a, addr)
	}
}

// probePorts asks by each published port: the host by its loopback address, and the
// outside where the container's default route leads back.
func (w *world) probePorts(a *attachment, addr netip.Addr) {
	w.t.Helper()
	from, local := stage.HostV6, ""
	if addr.Is4() {
		from, local = stage.HostV4, "127.0.0.1"
	}
	for _, p := range a.published() {
		network, port := p["protocol"].(string), fmt.Sprint(p["hostPort"])
		if p["hostIP"] != nil && !addr.Is4() {
			continue
		}
		if local != "" && p["hostIP"] == nil {
			if _, err := w.Host.Ask(network, net.JoinHostPort(local, port), patience); err != nil {
				w.t.Fatalf("%s: port %s on the loopback address: %v", a, port, err)
			}
		}
		if a.net.gateway != "isDefaultGateway" {
			continue
		}
		seen, err := w.Outside.Ask(network, net.JoinHostPort(from, port), patience)
		if err != nil {
			w.t.Fatalf("%s: port %s from outside: %v", a, port, err)
		}
		if client, _, _ := net.SplitHostPort(seen); client != stage.OutsideV4 && client != stage.OutsideV6 {
			w.t.Fatalf("%s: port %s: sees the outside as %s", a, port, client)
		}
	}
}

// probeWayOut wants a masqueraded container to be seen as the host.
func (w *world) probeWayOut(a *attachment, addr netip.Addr) {
	w.t.Helper()
	if a.net.gateway != "isDefaultGateway" || !a.masq {
		return
	}
	target, want := stage.OutsideV6, stage.HostV6
	if addr.Is4() {
		target, want = stage.OutsideV4, stage.HostV4
	}
	seen, err := a.box.AskFrom("tcp", addr.String(), net.JoinHostPort(target, "80"), patience)
	if client, _, _ := net.SplitHostPort(seen); err != nil || client != want {
		w.t.Fatalf("%s: on its way out it is seen as %q, %v, want %s", a, client, err, want)
	}
}

// expectGone wants nothing on the host that names the attachment: links by their
// aliases and elements by their comments tell whose they are.
func (w *world) expectGone(a *attachment) {
	w.t.Helper()
	state, err := snapshot.Take(w.Host.NS)
	w.Must(err)
	for key, text := range state {
		for line := range strings.Lines(text) {
			if strings.Contains(line+" ", " "+a.String()+" ") || strings.Contains(line, " "+a.String()+"\"") {
				w.t.Fatalf("%s is gone, but has left %s: %s", a, key, line)
			}
		}
	}
}

// expectLinks wants one port for each live attachment, once those of the lost ones
// have gone with their namespaces.
func (w *world) expectLinks(want int) {
	w.t.Helper()
	var names []string
	for end := time.Now().Add(burial); time.Now().Before(end); time.Sleep(20 * time.Millisecond) {
		names = nil
		for _, l := range stage.Links(w.Host) {
			if strings.HasPrefix(l.Attrs().Name, "veth") {
				names = append(names, l.Attrs().Name)
			}
		}
		if len(names) == want {
			return
		}
	}
	w.t.Fatalf("%d ports for %d live attachments: %v", len(names), want, names)
}

// leave detaches and collects everything.
func (w *world) leave() {
	w.t.Helper()
	for _, a := range slices.Clone(w.attached) {
		q, text := w.someAsks(a)
		if err := w.del(a, q); err != nil {
			w.t.Fatalf("last DEL of %s%s: %v", a, text, err)
		}
		w.forget(a)
	}
	for _, b := range slices.Clone(w.boxes) {
		w.end(b)
	}
	for _, n := range w.networks {
		if err := w.gc(n); err != nil {
			w.t.Fatalf("last GC of %v: %v", n, err)
		}
	}
}
