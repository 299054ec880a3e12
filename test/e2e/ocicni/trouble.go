package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// restarted kills the daemon and starts it again, with pods that it knows, one that it
// has forgotten, and one whose record it never wrote.
func (t *test) restarted() {
	var a, b, c, gone, half *pod
	if !t.Do("five pods, kill -9, start, CHECK, GC without two of them: their things go", func() (err error) {
		for _, p := range []struct {
			at      **pod
			name    string
			options []func(*pod)
		}{{&c, "rc", nil}, {&a, "ra", []func(*pod){on("bridgeport"), on("second")}}, {&b, "rb", []func(*pod){on("ports"), mapping("ports", tcp(8080, 80))}}} {
			if *p.at, err = t.serving(p.name, p.options...); err != nil {
				return err
			}
		}
		before, err := t.node.Settled()
		if err != nil {
			return err
		}
		if gone, err = t.serving("gone", on("bridgeport"), on("second")); err == nil {
			half, err = t.serving("half", on("ports"), mapping("ports", udp(9090, 80)))
		}
		if err == nil {
			err = errors.Join(t.forgetResult(half, "ports"), t.crio.Kill(), t.start(), t.status(a, b, c, gone))
		}
		if err == nil {
			_, err = t.call("gc", nil, a, b, c)
		}
		if err == nil {
			err = t.node.ExpectState(before)
		}
		return err
	}) {
		return
	}
	t.Do("the others have lost nothing: CHECK, traffic, host port", func() error {
		return errors.Join(t.status(a, b, c), t.client.Seen("tcp", kit.NodeV4, "8080", kit.ClientV4), asks(t.client, a.addrs[0], a.addrs[1], kit.ClientV4, kit.ClientV6),
			asks(a.space, c.addrs[0], c.addrs[1], a.addrs[0], a.addrs[1]))
	})
	t.Do("what GC removed is torn down once more, all others for good", func() error { return t.remove(gone, half, a, b, c) })
	t.leavesNothing("nothing is left of the five")
}

// tornDown is DEL with what CRI-O may lack.
func (t *test) tornDown() {
	published := []func(*pod){on("ports"), mapping("ports", tcp(8080, 80))}
	for _, way := range []struct {
		name string
		down func(*pod) error
	}{
		{"twice", func(p *pod) error { return errors.Join(t.tearDown(p, p), p.lose()) }},
		{"with the namespace lost, twice", func(p *pod) error { return errors.Join(p.lose(), t.tearDown(p, p)) }},
		{"with an empty NetNS", func(p *pod) error {
			err := p.lose()
			p.NetNS = ""
			return errors.Join(err, t.tearDown(p, p))
		}},
		{"with an empty NetNS, the namespace alive", func(p *pod) error {
			path := p.NetNS
			p.NetNS = ""
			err := t.tearDown(p)
			p.NetNS = path
			return errors.Join(err, p.lose())
		}},
		{"with a plain file where the namespace was", func(p *pod) error {
			return errors.Join(p.lose(), t.node.Write(p.NetNS, ""), t.tearDown(p), os.Remove(t.node.Root(p.NetNS)))
		}},
		{"without libcni's record", func(p *pod) error { return errors.Join(t.forgetResult(p, "ports"), t.tearDown(p), p.lose()) }},
	} {
		t.Do("torn down "+way.name+": nothing is left", func() error {
			p, err := t.serving("down", published...)
			if err != nil {
				return err
			}
			return errors.Join(way.down(p), t.node.ExpectState(t.idle))
		})
	}
}

// reconfigured removes a network's configuration under a running pod.
func (t *test) reconfigured() {
	t.Do("the list is removed under a pod: CHECK and DEL by the saved one, nothing is left", func() error {
		p, err := t.serving("old", on("ports"), mapping("ports", tcp(8080, 80)))
		if err == nil {
			err = os.Remove(t.node.Root(filepath.Join(confDir, portsFile)))
		}
		if err != nil {
			return err
		}
		return errors.Join(t.crio.Kill(), t.start(), t.status(p), t.remove(p), t.configure(), t.node.ExpectState(t.idle))
	})
}

// crowd is how many pods come and go at once.
const crowd = 20

func (t *test) crowd() {
	t.Check(fmt.Sprintf("%d pods in parallel, each with its own addresses and port", crowd), func() (string, error) {
		pods := make([]*pod, crowd)
		err := kit.Together(crowd, func(i int) (err error) {
			pods[i], err = t.serving(fmt.Sprint("crowd", i), on("ports"), mapping("ports", tcp(9000+i, 80)))
			return err
		})
		if err != nil {
			return "", err
		}
		addrs := make(map[string]bool)
		for i, p := range pods {
			for _, a := range p.addrs {
				addrs[a] = true
			}
			err = errors.Join(err, t.client.Seen("tcp", kit.NodeV4, fmt.Sprint(9000+i), kit.ClientV4))
		}
		if len(addrs) != 2*crowd {
			err = errors.Join(err, fmt.Errorf("%d different addresses", len(addrs)))
		}
		return "", errors.Join(err, kit.Together(crowd, func(i int) error { return t.remove(pods[i]) }))
	})
	t.leavesNothing("nothing is left of them")
}

// rebooted cuts the node's power under pods.
func (t *test) rebooted() {
	t.Do("power off under two pods, power on; GC at start without pods leaves nothing", func() error {
		p, err := t.serving("before")
		if err != nil {
			return err
		}
		q, err := t.serving("ported", on("ports"), mapping("ports", tcp(8080, 80)))
		if err != nil {
			return err
		}
		err = errors.Join(t.forgetResult(q, "ports"), p.space.NS.Close(), q.space.NS.Close(), t.node.PowerOff(), t.node.PowerOn())
		if err == nil {
			err = t.start()
		}
		if err == nil {
			_, err = t.call("gc", nil)
		}
		if err == nil {
			err = t.node.ExpectNothing()
		}
		return err
	})
	t.Do("a pod with the same host port works, and goes", func() error {
		p, err := t.serving("after", on("ports"), mapping("ports", tcp(8080, 80)))
		if err != nil {
			return err
		}
		return errors.Join(t.client.Seen("tcp", kit.NodeV4, "8080", kit.ClientV4), t.remove(p))
	})
	t.Do("with the sample alone and a pod on it, bridgeport doctor finds all well", func() error {
		p, err := t.serving("last")
		for _, file := range []string{portsFile, secondFile} {
			err = errors.Join(err, os.Remove(t.node.Root(filepath.Join(confDir, file))))
		}
		if err == nil {
			_, err = t.bridgeport("doctor")
		}
		return errors.Join(err, t.remove(p))
	})
	t.Do("GC with nothing valid, and the daemon's end: nothing is left", func() error {
		_, err := t.call("gc", nil)
		return errors.Join(err, t.crio.Stop(), t.node.ExpectNothing())
	})
}
