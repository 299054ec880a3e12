package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// traffic shows what pods, nodes and a machine beside them can do with each other.
func (t *test) traffic() {
	var pods []*pod
	if !t.Check("a Deployment on both nodes, a DaemonSet with a host port", func() (string, error) {
		err := errors.Join(t.deploy(web, "deployment/web"), t.deploy(edge, "daemonset/edge"))
		if err == nil {
			pods, err = t.pods("web")
		}
		if err == nil && (len(pods) != 4 || pods[0].node != pods[1].node || pods[1].node == pods[2].node) {
			err = fmt.Errorf("not two pods on each node: %d", len(pods))
		}
		if err != nil {
			return "", err
		}
		return fmt.Sprint(pods[0].addr(), " ", pods[1].addr(), " ", pods[2].addr(), " ", pods[3].addr()), nil
	}) {
		return
	}
	here, beside, there := pods[0], pods[1], pods[2]
	t.Do("pod to pod on a node, source address kept", func() error {
		return errors.Join(here.Space.Seen("tcp", beside.addr(), "80", here.addr()), here.Space.Seen("udp", beside.addr(), "80", here.addr()))
	})
	t.Do("pod to pod across nodes, source address kept", func() error {
		return errors.Join(here.Space.Seen("tcp", there.addr(), "80", here.addr()), there.Space.Seen("udp", here.addr(), "80", there.addr()))
	})
	t.Do("pods leave the cluster with their node's address", func() error {
		server, err := t.client.Serve("tcp", "0.0.0.0:7000")
		if err != nil {
			return err
		}
		return errors.Join(here.Space.Seen("tcp", clientAddr, "7000", here.node.addr), there.Space.Seen("tcp", clientAddr, "7000", there.node.addr), server.Close())
	})
	t.Do("a Service, from pods and from the nodes, tcp and udp", func() error {
		for _, from := range []*stage.Space{here.Space, there.Space, t.workers[0].Space, t.workers[1].Space} {
			for _, network := range []string{"tcp", "udp"} {
				// Often enough to meet each of its pods.
				for range 12 {
					err := eventually(func() error {
						_, err := from.Ask(network, net.JoinHostPort(webService, "80"), patience)
						return err
					})
					if err != nil {
						return err
					}
				}
			}
		}
		return nil
	})
	t.Do("the DaemonSet's host port on each node, source address kept", func() error {
		var err error
		for _, w := range t.workers {
			err = errors.Join(err, t.client.Seen("tcp", w.addr, "8080", clientAddr), t.client.Seen("udp", w.addr, "8080", clientAddr))
		}
		return err
	})
	t.Do("host ports from the other node, from pods of both, on 127.0.0.1", func() error {
		first, second := t.workers[0], t.workers[1]
		err := errors.Join(
			first.Space.Seen("tcp", second.addr, "8080", first.addr),
			here.Space.Seen("tcp", second.addr, "8080", here.addr(), first.addr))
		for _, ask := range []struct {
			from *stage.Space
			to   string
		}{{here.Space, first.addr}, {first.Space, "127.0.0.1"}, {second.Space, "127.0.0.1"}} {
			_, aerr := ask.from.Ask("tcp", net.JoinHostPort(ask.to, "8080"), patience)
			err = errors.Join(err, aerr)
		}
		return err
	})
	for _, p := range pods {
		t.closeSpace(p)
	}
}

// closeSpace lets go of a pod's namespace, which could not end otherwise.
func (t *test) closeSpace(p *pod) {
	if err := p.Space.NS.Close(); err != nil {
		t.Do("let go of "+p.name, func() error { return err })
	}
}
