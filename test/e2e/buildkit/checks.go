package main

import (
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// outward asks the client by TCP and UDP, in each family that builds have, and wants the
// node's addresses seen.
func (t *test) outward(name string, options ...string) error {
	steps, want := []string{ask("tcp", kit.ClientV4), ask("udp", kit.ClientV4)}, []string{kit.NodeV4, kit.NodeV4}
	if t.dual {
		steps, want = append(steps, ask("tcp", kit.ClientV6), ask("udp", kit.ClientV6)), append(want, kit.NodeV6, kit.NodeV6)
	}
	seen, err := t.build(name, options, steps...)
	if err == nil && !slices.Equal(seen, want) {
		err = fmt.Errorf("seen as %v, want %v", seen, want)
	}
	return err
}

func (t *test) builds() {
	t.Do("the pool is full before the first build", t.start)
	t.Do("a build reaches another machine, masqueraded, in namespaces of the pool", func() error {
		before, err := t.namespaces()
		if err == nil {
			err = t.outward("out")
		}
		after, aerr := t.namespaces()
		if err = errors.Join(err, aerr); err == nil && !slices.Equal(before, after) {
			err = fmt.Errorf("the namespaces were %v, and are %v", before, after)
		}
		return err
	})
	t.Do("six builds in parallel: the pool grows", func() error {
		return kit.Together(6, func(i int) error { return t.outward(fmt.Sprint("crowd", i)) })
	})
	t.Do("a build with a host name has a namespace of its own, which goes with it", func() error {
		before, err := t.namespaces()
		if err == nil {
			err = t.outward("named", "--opt", "hostname=builder")
		}
		if err != nil {
			return err
		}
		return kit.Wait(10*time.Second, func() error {
			after, err := t.namespaces()
			if err == nil && !slices.Equal(before, after) {
				err = fmt.Errorf("the namespaces were %v, and are %v", before, after)
			}
			return err
		})
	})
}

// serve starts a build that serves, and waits until it does.
func (t *test) serve() (d *kit.Daemon, space *stage.Space, err error) {
	argv, err := t.argv("server", nil, `RUN ["/pod", "serve"]`)
	if err == nil {
		d, err = t.node.Start("server", argv...)
	}
	if err != nil {
		return nil, nil, err
	}
	return d, space, kit.Wait(20*time.Second, func() (err error) {
		space, err = t.serving()
		return errors.Join(err, d.Alive())
	})
}

// traffic is between builds, and from the node.
func (t *test) traffic() {
	t.Check("a build that serves is asked by another build and by the node", func() (string, error) {
		d, space, err := t.serve()
		if err != nil {
			return "", err
		}
		addrs, err := kit.Addresses(space)
		for _, addr := range addrs {
			seen, berr := t.build("asking", nil, fmt.Sprintf(`RUN ["/pod", "ask", "tcp", "[%s]:80"]`, addr), fmt.Sprintf(`RUN ["/pod", "ask", "udp", "[%s]:80"]`, addr))
			if berr == nil && (slices.Contains(seen, kit.NodeV4) || slices.Contains(seen, kit.NodeV6)) {
				berr = fmt.Errorf("seen as %v", seen)
			}
			err = errors.Join(err, berr, t.node.Space.Seen("tcp", addr, "80"))
		}
		return fmt.Sprint(addrs), errors.Join(err, space.NS.Close(), d.Stop())
	})
}

// unbridged deletes the bridge under buildkitd.
func (t *test) unbridged() {
	t.Do("the bridge is deleted under it: the next namespace has it again", func() error {
		err := t.node.Space.Do(func() error {
			link, err := netlink.LinkByName(t.bridge)
			if err != nil {
				return err
			}
			return netlink.LinkDel(link)
		})
		if err != nil {
			return err
		}
		return errors.Join(t.outward("unbridged", "--opt", "hostname=builder"), t.bridgeIs(true))
	})
	t.Do("bridgeport repair: those of the pool have their way out again", func() error {
		if err := t.outward("cut"); err == nil {
			return errors.New("they had it before")
		}
		_, err := t.node.Run(kit.Repo("bin/bridgeport"), "repair")
		return errors.Join(err, t.outward("mended"))
	})
}

// killed kills buildkitd while a build serves.
func (t *test) killed() {
	t.Do("kill -9 under a build, start: the old namespaces go, a new pool comes", func() error {
		if err := t.start(); err != nil {
			return err
		}
		old, err := t.namespaces()
		if err != nil {
			return err
		}
		_, space, err := t.serve()
		if err != nil {
			return err
		}
		if err := errors.Join(space.NS.Close(), t.buildkit.Kill(), t.start()); err != nil {
			return err
		}
		err = kit.Wait(20*time.Second, func() error { // it releases them beside its other work
			now, err := t.namespaces()
			for _, id := range now {
				if slices.Contains(old, id) {
					err = errors.Join(err, fmt.Errorf("%s is still there", id))
				}
			}
			return errors.Join(err, t.pooled(poolSize))
		})
		return errors.Join(err, t.outward("again"))
	})
	if t.mode == "cni" {
		t.end("SIGTERM: nothing is left of either")
		t.Do("GC: the bridge and the rules go, too", func() error {
			return errors.Join(t.node.GC("/etc/buildkit/bridgeport.conflist", nil), t.node.ExpectNothing(), t.bridgeIs(false))
		})
		return
	}
	t.Do("SIGTERM: it leaves a bridge that it found, and nothing else", func() error {
		err := errors.Join(t.buildkit.Stop(), t.pooled(0), t.bridgeIs(true))
		if err != nil {
			return err
		}
		return t.node.Space.Do(func() error {
			link, err := netlink.LinkByName(t.bridge)
			if err != nil {
				return err
			}
			return netlink.LinkDel(link)
		})
	})
	t.Do("with the bridge deleted the node is as it was", func() error { return t.node.ExpectState(t.idle) })
}
