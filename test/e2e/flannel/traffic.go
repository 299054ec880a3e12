package main

import (
	"errors"
	"fmt"
	"net"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

func (t *test) traffic() {
	here, there := t.nodes[0], t.nodes[1]
	if !t.Check("a pod with a host port on each node", func() (string, error) {
		var err error
		for _, n := range t.nodes {
			if n.pod, err = n.ServePod("web", kit.TCP(8080, 80), kit.UDP(8080, 80)); err != nil {
				return "", err
			}
		}
		return fmt.Sprint(here.pod.Addrs, there.pod.Addrs), nil
	}) {
		return
	}
	one, two := here.pod.Addrs[0].String(), there.pod.Addrs[0].String()
	t.Do("pod to pod across nodes, source address kept", func() error {
		return errors.Join(here.pod.Space.Seen("tcp", two, "80", one), there.pod.Space.Seen("udp", one, "80", two))
	})
	t.Do("host ports from another machine, source address kept", func() error {
		var err error
		for _, n := range t.nodes {
			err = errors.Join(err, t.client.Space.Seen("tcp", n.addr, "8080", clientAddr), t.client.Space.Seen("udp", n.addr, "8080", clientAddr))
		}
		return err
	})
	t.Do("host ports from pods of both nodes, from the node, on 127.0.0.1", func() error {
		return errors.Join(
			here.pod.Space.Seen("tcp", there.addr, "8080"), here.pod.Space.Seen("tcp", here.addr, "8080"),
			here.Space.Seen("tcp", here.addr, "8080"), here.Space.Seen("tcp", "127.0.0.1", "8080"))
	})
	t.Do("the way out is masqueraded, by flanneld", func() error {
		server, err := t.client.Serve("tcp", "0.0.0.0:7000")
		if err != nil {
			return err
		}
		return errors.Join(here.pod.Space.Seen("tcp", clientAddr, "7000", here.addr), server.Close())
	})
	t.Do("flannel has given our bridge its MTU", func() error {
		return here.pod.Space.Do(func() error {
			mtu, err := mtuOf("eth0")
			if err == nil && mtu != 1500 { // host-gw: that of the node
				err = fmt.Errorf("mtu %d", mtu)
			}
			return err
		})
	})
}

// end removes the pods: flannel's plugin replays the configuration that it saved, without
// a previous result.
func (t *test) end() {
	t.Do("pods are removed", func() error {
		var err error
		for _, n := range t.nodes {
			err = errors.Join(err, n.pod.Remove())
		}
		return err
	})
	for _, n := range t.nodes {
		t.Do("nothing is left on "+n.Node.Name, func() error { return n.ExpectState(n.idle) })
	}
}

func mtuOf(name string) (int, error) {
	link, err := net.InterfaceByName(name)
	if err != nil {
		return 0, err
	}
	return link.MTU, nil
}
