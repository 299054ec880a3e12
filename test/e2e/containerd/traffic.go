package main

import (
	"errors"
	"fmt"
	"net"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// patience is far above what an answer takes.
const patience = 3 * time.Second

// traffic shows what two pods, the node and another machine can do with each other.
func (t *test) traffic() {
	var web, peer *kit.Pod
	ok := t.Check("two pods start, with addresses of both families", func() (string, error) {
		var err error
		if web, err = t.node.ServePod("web", kit.TCP(8080, 80), kit.UDP(8080, 80)); err != nil {
			return "", err
		}
		if peer, err = t.node.ServePod("peer"); err != nil {
			return "", err
		}
		if len(web.Addrs) != 2 || len(peer.Addrs) != 2 {
			return "", fmt.Errorf("addresses %v and %v", web.Addrs, peer.Addrs)
		}
		return fmt.Sprint(web.Addrs, peer.Addrs), nil
	})
	if !ok {
		return
	}
	web4, web6 := web.Addrs[0].String(), web.Addrs[1].String()
	peer4, peer6 := peer.Addrs[0].String(), peer.Addrs[1].String()
	t.Do("lo is up in a pod", func() error {
		return errors.Join(web.Space.Seen("tcp", "127.0.0.1", "80", "127.0.0.1"), web.Space.Seen("tcp", "::1", "80", "::1"))
	})
	t.Do("pod to pod, source address kept, IPv4 and IPv6", func() error {
		return errors.Join(peer.Space.Seen("tcp", web4, "80", peer4), peer.Space.Seen("tcp", web6, "80", peer6), web.Space.Seen("udp", peer4, "80", web4))
	})
	for _, network := range []string{"tcp", "udp"} {
		t.Do("host port, "+network+", from another machine, source address kept", func() error {
			return errors.Join(t.client.Seen(network, kit.NodeV4, "8080", kit.ClientV4), t.client.Seen(network, kit.NodeV6, "8080", kit.ClientV6))
		})
		t.Do("host port, "+network+", on the node: own addresses, 127.0.0.1, [::1]", func() error {
			var err error
			for _, host := range []string{kit.NodeV4, kit.NodeV6, "127.0.0.1", "::1"} {
				_, aerr := t.node.Ask(network, net.JoinHostPort(host, "8080"), patience)
				err = errors.Join(err, aerr)
			}
			return err
		})
	}
	t.Do("host port from the pod itself and from its neighbour", func() error {
		return errors.Join(
			web.Space.Seen("tcp", kit.NodeV4, "8080", kit.NodeV4, gateway4), web.Space.Seen("tcp", kit.NodeV6, "8080", kit.NodeV6, gateway6),
			peer.Space.Seen("tcp", kit.NodeV4, "8080", kit.NodeV4, gateway4, peer4), peer.Space.Seen("tcp", kit.NodeV6, "8080", kit.NodeV6, gateway6, peer6))
	})
	t.Do("the way out is masqueraded", func() error {
		server, err := t.client.Serve("tcp", "0.0.0.0:7000")
		if err != nil {
			return err
		}
		return errors.Join(web.Space.Seen("tcp", kit.ClientV4, "7000", kit.NodeV4), server.Close())
	})
	t.Check("a second pod with the same host port is refused, by name of the holder", func() (string, error) {
		p, err := t.node.RunPod("thief", kit.TCP(8080, 80))
		if err == nil {
			return "", errors.Join(errors.New("it started"), p.Remove())
		}
		return "", mentions(err, "8080", "web")
	})
	t.Do("pods are removed", func() error { return errors.Join(t.node.RemovePods(), web.Space.NS.Close(), peer.Space.NS.Close()) })
	t.Do("the host port is closed", func() error {
		if _, err := t.client.Ask("tcp", net.JoinHostPort(kit.NodeV4, "8080"), time.Second); err == nil {
			return errors.New("it answers")
		}
		return nil
	})
	t.leavesNothing("nothing is left: links, addresses, rules, sysctls, leases, results")
}

// gateways of the sample configuration: the bridge's own addresses.
const gateway4, gateway6 = "10.88.0.1", "fd00:88::1"
