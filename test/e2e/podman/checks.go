package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

func (t *test) published() {
	t.Do("-p 8080:80, tcp and udp, from another machine, source address kept", func() error {
		err := t.run("web", "-p", "8080:80/tcp", "-p", "8080:80/udp", "-p", kit.NodeV4+":8081:80", "-p", "9000-9001:80-81")
		for _, network := range []string{"tcp", "udp"} {
			err = errors.Join(err, t.client.Seen(network, kit.NodeV4, "8080", kit.ClientV4), t.client.Seen(network, kit.NodeV6, "8080", kit.ClientV6))
		}
		return err
	})
	t.Do("-p IP:8081:80 at that address alone, -p 9000-9001:80-81", func() error {
		err := errors.Join(t.client.Seen("tcp", kit.NodeV4, "8081", kit.ClientV4), t.client.Seen("tcp", kit.NodeV4, "9000", kit.ClientV4), t.client.Seen("tcp", kit.NodeV4, "9001"))
		if open := t.client.Seen("tcp", kit.NodeV6, "8081"); open == nil {
			err = errors.Join(err, errors.New("8081 answers at the other address"))
		}
		return err
	})
	t.Do("on the node: 127.0.0.1, [::1], own address", func() error {
		return errors.Join(t.node.Space.Seen("tcp", "127.0.0.1", "8080"), t.node.Space.Seen("tcp", "::1", "8080"), t.node.Space.Seen("tcp", kit.NodeV4, "8080"))
	})
	t.Do("podman restart: the ports follow", func() error {
		if _, err := t.podman("restart", "-t", "1", "web"); err != nil {
			return err
		}
		return kit.Wait(10*time.Second, func() error { return t.client.Seen("tcp", kit.NodeV4, "8080", kit.ClientV4) })
	})
}

func (t *test) addresses() {
	t.Do("--ip: the address asked for; containers reach each other by it", func() error {
		if err := t.run("fixed", "--ip", "10.90.0.77"); err != nil {
			return err
		}
		space, err := t.enter("web")
		if err != nil {
			return err
		}
		return errors.Join(space.Seen("tcp", "10.90.0.77", "80"), space.NS.Close())
	})
	t.Do("--ip of an address that is taken is refused", func() error {
		err := t.run("thief", "--ip", "10.90.0.77")
		if err == nil {
			return errors.New("it started")
		}
		_, rerr := t.podman("rm", "-f", "-i", "thief")
		return rerr
	})
}

func (t *test) second() {
	t.Do("network connect and disconnect: eth1 comes and goes", func() error {
		space, err := t.enter("fixed")
		if err != nil {
			return err
		}
		defer space.NS.Close()
		for _, step := range []struct{ verb, links string }{{"connect", "lo eth0 eth1"}, {"disconnect", "lo eth0"}} {
			if _, err := t.podman("network", step.verb, "other", "fixed"); err != nil {
				return err
			}
			have, err := kit.Links(space)
			if err == nil && strings.Join(have, " ") != step.links {
				err = fmt.Errorf("links after %s: %s", step.verb, have)
			}
			if err != nil {
				return err
			}
		}
		return nil
	})
}

func (t *test) pod() {
	t.Do("podman pod create with a published port", func() error {
		if _, err := t.podman("pod", "create", "--name", "pod", "--network", "bridgeport", "-p", "8085:80", "--cgroup-parent", t.node.Cgroup()); err != nil {
			return err
		}
		if _, err := t.podman("run", "-d", "--pull=never", "--pod", "pod", "--name", "inpod", image); err != nil {
			return err
		}
		return kit.Wait(10*time.Second, func() error { return t.client.Seen("tcp", kit.NodeV4, "8085", kit.ClientV4) })
	})
}

func (t *test) end() {
	t.Do("all are removed", func() error {
		_, err := t.podman("pod", "rm", "-f", "-t", "1", "pod")
		_, rerr := t.podman("rm", "-f", "-a", "-t", "1")
		return errors.Join(err, rerr)
	})
	t.Do("nothing is left: links, addresses, rules, sysctls, leases", func() error { return t.node.ExpectState(t.idle) })
}
