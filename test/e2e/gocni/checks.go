package main

import (
	"errors"
	"fmt"
	"net"
	"slices"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

func (t *test) client() *stage.Space { return t.site.Client }

// published is about ports that a person names.
func (t *test) published() {
	var c *container
	t.Do("-p 8080:80, tcp and udp, from another machine, source address kept", func() (err error) {
		c, err = t.run("web", wish{Ports: publish("8080:80", "8080:80/udp", "[::]:8080:80", "[::]:8080:80/udp", kit.NodeV4+":8081:80")})
		for _, network := range []string{"tcp", "udp"} {
			err = errors.Join(err, t.client().Seen(network, kit.NodeV4, "8080", kit.ClientV4), t.client().Seen(network, kit.NodeV6, "8080", kit.ClientV6))
		}
		return err
	})
	t.Do("-p IP:8081:80 at that address alone; a port that is taken is refused", func() error {
		err := t.client().Seen("tcp", kit.NodeV4, "8081", kit.ClientV4)
		if t.client().Seen("tcp", kit.NodeV6, "8081") == nil {
			err = errors.Join(err, errors.New("8081 answers at the other address"))
		}
		return errors.Join(err, t.fails("thief", wish{Ports: publish("8080:80")}, "hostPort 8080/tcp"))
	})
	t.Do("on the node: 127.0.0.1, own addresses, and by nftables [::1]", func() error {
		addrs := []string{"127.0.0.1", kit.NodeV4, kit.NodeV6}
		if t.nftables {
			addrs = append(addrs, "::1")
		}
		var err error
		for _, addr := range addrs {
			err = errors.Join(err, t.node.Space.Seen("tcp", addr, "8080"))
		}
		return err
	})
	t.Do("the way out: masqueraded, tcp and udp, both families", func() error {
		err := t.outward(c, kit.ClientV4, kit.NodeV4)
		return errors.Join(err, t.outward(c, kit.ClientV6, kit.NodeV6), remove(c))
	})
}

// outward asks the client from the container.
func (t *test) outward(c *container, addr, as string) error {
	return c.in(func(space *stage.Space) error {
		return errors.Join(space.Seen("tcp", addr, listening, as), space.Seen("udp", addr, listening, as))
	})
}

// reaches asks one container's address from another.
func reaches(from *container, addr string) error {
	return from.in(func(space *stage.Space) error {
		return errors.Join(space.Seen("tcp", addr, "80"), space.Seen("udp", addr, "80"))
	})
}

func (t *test) addresses() {
	t.Do("--ip, --ip6, --mac-address: as asked for; neighbours reach it; a taken address is refused", func() error {
		fixed, err := t.run("fixed", wish{IP: "10.4.1.77", IP6: "fd00:4:1::77", MAC: "02:aa:bb:cc:dd:ee"})
		if err != nil {
			return errors.Join(err, remove(fixed))
		}
		other, err := t.run("other", wish{})
		if err == nil {
			err = errors.Join(reaches(other, "10.4.1.77"), reaches(other, "fd00:4:1::77"))
		}
		err = errors.Join(err, fixed.in(func(space *stage.Space) error {
			return space.Do(func() error {
				link, err := net.InterfaceByName("eth0")
				if err == nil && link.HardwareAddr.String() != "02:aa:bb:cc:dd:ee" {
					err = fmt.Errorf("eth0 has %s", link.HardwareAddr)
				}
				return err
			})
		}))
		return errors.Join(err, t.fails("double", wish{IP: "10.4.1.77"}, "10.4.1.77"), remove(fixed, other))
	})
}

// compose is a service with many ports, and many services at once. nerdctl's hook waits for
// the one before; here they all run together.
func (t *test) compose() {
	t.Do("110 ports of one container: ranges, tcp, udp, one address of the host", func() error {
		c, err := t.run("many", wish{Ports: publish("9000-9049:81-130", "9100-9149:80-129/udp", "127.0.0.1:9200-9209:80-89")})
		if err == nil {
			err = errors.Join(t.client().Seen("udp", kit.NodeV4, "9100", kit.ClientV4), t.node.Space.Seen("tcp", "127.0.0.1", "9200"))
		}
		_, aerr := t.client().Ask("tcp", net.JoinHostPort(kit.NodeV4, "9000"), stage.Patience)
		return errors.Join(err, aerr, remove(c))
	})
	t.Do("12 containers start, restart and go at once, each with its port", func() error {
		list := make([]*container, 12)
		err := kit.Together(len(list), func(i int) (err error) {
			list[i], err = t.run(fmt.Sprint("crowd", i), wish{Ports: publish(fmt.Sprintf("%d:80", 9300+i))})
			return err
		})
		answers := func() (err error) {
			for i := range list {
				err = errors.Join(err, t.client().Seen("tcp", kit.NodeV4, fmt.Sprint(9300+i), kit.ClientV4))
			}
			return err
		}
		if err == nil {
			err = answers()
		}
		if err == nil {
			err = errors.Join(kit.Together(len(list), func(i int) error { return errors.Join(list[i].stop(), list[i].start()) }), answers())
		}
		return errors.Join(err, kit.Together(len(list), func(i int) error { return remove(list[i]) }))
	})
}

// lives is a container that stops, is killed, and outlives containerd.
func (t *test) lives() {
	c, err := t.run("life", wish{Ports: publish("8082:80"), Hold: true})
	if err != nil {
		t.Do("a container to stop and start", func() error { return errors.Join(err, remove(c)) })
		return
	}
	answers := func() error { return t.client().Seen("tcp", kit.NodeV4, "8082", kit.ClientV4) }
	t.Do("stop: port, address and link go; start: they are back", func() error {
		return errors.Join(c.stop(), t.node.ExpectState(t.idle), c.start(), answers())
	})
	t.Do("kill -9 of its process, then start", func() error {
		pid, _, err := c.task()
		if err == nil {
			_, err = t.node.Run("kill", "-KILL", pid)
		}
		return errors.Join(err, c.stopped(), c.start(), answers())
	})
	t.Do("kill -9 of containerd, start: it still answers; then restart, and others come", func() (err error) {
		if err := errors.Join(t.containerd.Kill(), answers()); err != nil {
			return err
		}
		if t.containerd, err = t.node.Containerd(kit.Module()); err != nil {
			return err
		}
		err = errors.Join(answers(), c.stop(), c.start(), answers())
		next, rerr := t.run("next", wish{Ports: publish("8083:80")})
		return errors.Join(err, rerr, t.client().Seen("tcp", kit.NodeV4, "8083"), remove(next))
	})
	t.Do("ADD without the DEL that was due: the one before ADD is enough", func() error {
		pid, _, err := c.task()
		if err != nil {
			return err
		}
		_, err = t.node.Run("kill", "-KILL", pid)
		err = errors.Join(err, c.stopped())
		// The task's record goes without its hooks, as when containerd forgot it.
		_, serr := t.node.Run("sh", "-c", "mv "+hook+" /run/tmp/hook && printf '#!/bin/sh\\n' >"+hook+" && chmod +x "+hook)
		_, derr := t.ctr("task", "rm", c.id)
		_, berr := t.node.Run("sh", "-c", "rm "+hook+" && cp /run/tmp/hook "+hook+" && rm /run/tmp/hook")
		return errors.Join(err, serr, derr, berr, c.start(), answers())
	})
	t.Do("removed: nothing is left of it", func() error { return errors.Join(c.remove(), t.node.ExpectState(t.idle)) })
}

// hasLink wants a link on the node, or wants it away.
func (t *test) hasLink(name string, want bool) error {
	have, err := kit.Links(t.node.Space)
	if err == nil && slices.Contains(have, name) != want {
		err = fmt.Errorf("the links are %v", have)
	}
	return err
}
