package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// gateways of the sample configuration: the bridge's own addresses.
const gateway4, gateway6 = "10.85.0.1", "1100:200::1"

// asks has one ask the other's port 80, by TCP and UDP, and wants its own address seen.
func asks(from *stage.Space, to4, to6, seen4, seen6 string) (err error) {
	for _, network := range []string{"tcp", "udp"} {
		err = errors.Join(err, from.Seen(network, to4, "80", seen4), from.Seen(network, to6, "80", seen6))
	}
	return err
}

// closed wants no answer.
func closed(from *stage.Space, network, host, port string) error {
	if _, err := from.Ask(network, net.JoinHostPort(host, port), time.Second); err == nil {
		return fmt.Errorf("%s %s port %s answers", network, host, port)
	}
	return nil
}

// traffic shows what two pods, the node and another machine can do with each other.
func (t *test) traffic() {
	var a, b *pod
	if !t.Check("two pods on the default network, CHECK after each ADD", func() (detail string, err error) {
		if a, err = t.serving("a"); err == nil {
			b, err = t.serving("b")
		}
		if err != nil {
			return "", err
		}
		if len(a.addrs) != 2 || len(b.addrs) != 2 {
			err = errors.New("not two addresses each")
		}
		return fmt.Sprint(a.addrs, b.addrs), err
	}) {
		return
	}
	t.Do("pod to pod and back, TCP, UDP and ping, source address kept", func() error {
		err := errors.Join(asks(a.space, b.addrs[0], b.addrs[1], a.addrs[0], a.addrs[1]), asks(b.space, a.addrs[0], a.addrs[1], b.addrs[0], b.addrs[1]))
		for _, addr := range b.addrs {
			_, perr := a.space.Ping(addr, stage.Patience)
			err = errors.Join(err, perr)
		}
		return err
	})
	t.Do("node to pod; the pod's lo", func() error {
		return errors.Join(asks(t.node.Space, a.addrs[0], a.addrs[1], gateway4, gateway6), asks(a.space, "127.0.0.1", "::1", "127.0.0.1", "::1"))
	})
	t.Do("the way out, to the node and to another machine, masqueraded there", func() error {
		return errors.Join(t.out(a, t.client, kit.ClientV4, kit.ClientV6, kit.NodeV4, kit.NodeV6), t.out(a, t.node.Space, kit.NodeV4, kit.NodeV6, append(a.addrs, gateway4, gateway6)...))
	})
	t.Do("another machine with a route to the pods: in, source address kept", func() error {
		return errors.Join(kit.Route(t.client, "10.85.0.0/16", kit.NodeV4), kit.Route(t.client, "1100:200::/24", kit.NodeV6),
			asks(t.client, a.addrs[0], a.addrs[1], kit.ClientV4, kit.ClientV6))
	})
	t.Do("mappings sent to the sample, which has no portmap: nothing is published", func() error {
		c, err := t.serving("c", mapping("bridgeport", tcp(8080, 80)))
		if err != nil {
			return err
		}
		return errors.Join(closed(t.client, "tcp", kit.NodeV4, "8080"), closed(t.node.Space, "tcp", "127.0.0.1", "8080"), t.remove(c))
	})
	t.Do("the pods are torn down", func() error { return t.remove(a, b) })
	t.leavesNothing("nothing is left: links, addresses, rules, sysctls, leases, results")
}

// out has a pod ask a server somewhere, by both families, and wants one of the addresses seen.
func (t *test) out(p *pod, where *stage.Space, to4, to6 string, seen ...string) error {
	four, err := where.Serve("tcp", "0.0.0.0:7000")
	if err != nil {
		return err
	}
	six, err := where.Serve("tcp", "[::]:7000")
	if err != nil {
		return errors.Join(err, four.Close())
	}
	return errors.Join(p.space.Seen("tcp", to4, "7000", seen...), p.space.Seen("tcp", to6, "7000", seen...), four.Close(), six.Close())
}

// checked spoils an attachment.
func (t *test) checked() {
	t.Check("an address is lost: CHECK names it, bridgeport repair mends it", func() (string, error) {
		p, err := t.serving("spoiled")
		if err != nil {
			return "", err
		}
		err = p.space.Do(func() error {
			link, err := netlink.LinkByName("eth0")
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr(p.addrs[0] + "/16")
			if err != nil {
				return err
			}
			return netlink.AddrDel(link, addr)
		})
		if err != nil {
			return "", errors.Join(err, t.remove(p))
		}
		found := t.status(p)
		err = mentions(found, p.addrs[0])
		repaired, rerr := t.bridgeport("repair")
		err = errors.Join(err, rerr, t.status(p), t.out(p, t.client, kit.ClientV4, kit.ClientV6, kit.NodeV4, kit.NodeV6))
		first, _, _ := strings.Cut(repaired, "\n")
		return first, errors.Join(err, t.remove(p))
	})
	t.Check("address and MAC asked for", func() (string, error) {
		const ip, mac = "10.85.7.7", "02:00:0a:55:07:07"
		p, err := t.newPod("wish", func(p *pod) { p.RuntimeConfig["bridgeport"]["IP"], p.RuntimeConfig["bridgeport"]["MAC"] = ip, mac })
		if err != nil {
			return "", err
		}
		err = t.setUp(p)
		if err == nil && p.addrs[0] != ip {
			err = fmt.Errorf("it has %v", p.addrs)
		}
		if err == nil {
			err = p.space.Do(func() error {
				link, err := netlink.LinkByName("eth0")
				if err == nil && !strings.EqualFold(link.Attrs().HardwareAddr.String(), mac) {
					err = fmt.Errorf("MAC %s", link.Attrs().HardwareAddr)
				}
				return err
			})
		}
		return fmt.Sprint(p.addrs), errors.Join(err, t.remove(p))
	})
	t.leavesNothing("nothing is left of them")
}

// ports is what portmap makes of mappings that ocicni sends.
func (t *test) ports() {
	var web *pod
	if !t.Do("mappings sent to a list with portmap: TCP, UDP, one hostIP", func() (err error) {
		web, err = t.serving("web", on("ports"), mapping("ports", tcp(8080, 80), udp(8080, 80), at(kit.NodeV4, tcp(8081, 80))))
		return err
	}) {
		return
	}
	t.Do("from another machine, both families, source address kept", func() (err error) {
		for _, network := range []string{"tcp", "udp"} {
			err = errors.Join(err, t.client.Seen(network, kit.NodeV4, "8080", kit.ClientV4), t.client.Seen(network, kit.NodeV6, "8080", kit.ClientV6))
		}
		return err
	})
	t.Do("hostIP: at that address alone", func() error {
		return errors.Join(t.client.Seen("tcp", kit.NodeV4, "8081", kit.ClientV4), closed(t.client, "tcp", kit.NodeV6, "8081"), closed(t.node.Space, "tcp", "127.0.0.1", "8081"))
	})
	t.Do("on the node: 127.0.0.1, [::1], own addresses; from the pod itself", func() (err error) {
		for _, host := range []string{"127.0.0.1", "::1", kit.NodeV4, kit.NodeV6} {
			err = errors.Join(err, t.node.Space.Seen("tcp", host, "8080"), t.node.Space.Seen("udp", host, "8080"))
		}
		return errors.Join(err, web.space.Seen("tcp", kit.NodeV4, "8080"), web.space.Seen("tcp", kit.NodeV6, "8080"))
	})
	t.Do("a second pod with the same host port is refused, by name of the holder", func() error {
		p, err := t.serving("thief", on("ports"), mapping("ports", tcp(8080, 80)))
		if err == nil {
			return errors.Join(errors.New("it started"), t.remove(p))
		}
		return mentions(err, "8080", "web")
	})
	t.Do("none sent: the pod runs, nothing is published", func() error {
		p, err := t.serving("plain", on("ports"))
		if err != nil {
			return err
		}
		return errors.Join(p.space.Seen("tcp", web.addrs[0], "80", p.addrs[0]), closed(t.client, "tcp", kit.NodeV4, "80"), t.remove(p))
	})
	t.Do("with the pod gone the ports are closed", func() error {
		err := t.remove(web)
		for _, host := range []string{kit.NodeV4, kit.NodeV6} {
			err = errors.Join(err, closed(t.client, "tcp", host, "8080"), closed(t.client, "udp", host, "8080"), closed(t.client, "tcp", host, "8081"))
		}
		return err
	})
	t.leavesNothing("nothing is left of them")
}

// twoNetworks is a pod with two links.
func (t *test) twoNetworks() {
	t.Check("one pod on two networks: eth0, eth1, traffic on both, CHECK", func() (string, error) {
		p, err := t.serving("both", on("bridgeport"), on("second"))
		if err != nil {
			return "", err
		}
		q, err := t.serving("peer", on("second"))
		if err != nil {
			return "", err
		}
		if len(p.addrs) != 4 || len(q.addrs) != 2 {
			return "", fmt.Errorf("addresses %v and %v", p.addrs, q.addrs)
		}
		err = errors.Join(
			asks(q.space, p.addrs[2], p.addrs[3], q.addrs[0], q.addrs[1]), asks(p.space, q.addrs[0], q.addrs[1], p.addrs[2], p.addrs[3]),
			asks(t.client, p.addrs[0], p.addrs[1], kit.ClientV4, kit.ClientV6), t.out(p, t.client, kit.ClientV4, kit.ClientV6, kit.NodeV4, kit.NodeV6), t.status(p, q))
		return fmt.Sprint(p.addrs), errors.Join(err, t.remove(p, q))
	})
	t.leavesNothing("nothing is left of either")
}
