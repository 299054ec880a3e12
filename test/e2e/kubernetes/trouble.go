package main

import (
	"errors"
	"fmt"
	"net"
	"os"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// edges are the DaemonSet's host ports.
func (t *test) edges() (list []string) {
	for _, w := range t.workers {
		list = append(list, net.JoinHostPort(w.addr, "8080"))
	}
	return list
}

// rivals are more pods than nodes that want one host port.
func (t *test) rivals() {
	t.Check("three pods want one host port of two nodes: two get it, one waits", func() (string, error) {
		if err := t.apply(rivals); err != nil {
			return "", err
		}
		var phases string
		err := kit.Wait(time.Minute, func() (err error) {
			phases, err = t.kubectl("get", "pods", "-l", "app=rival", "-o", "jsonpath={.items[*].status.phase}")
			if err == nil && (strings.Count(phases, "Running") != 2 || strings.Count(phases, "Pending") != 1) {
				err = errors.New("phases: " + phases)
			}
			return err
		})
		for _, w := range t.workers {
			err = errors.Join(err, eventually(func() error { return t.client.Seen("tcp", w.addr, "8090", clientAddr) }))
		}
		return phases, err
	})
	t.Check("the port moves on to the pod that waited", func() (string, error) {
		name, err := t.kubectl("get", "pods", "-l", "app=rival", "--field-selector=status.phase=Running", "-o", "jsonpath={.items[0].metadata.name}")
		if err == nil {
			_, err = t.kubectl("scale", "deployment/rival", "--replicas=2")
		}
		if err == nil {
			_, err = t.kubectl("delete", "pod", name, "--timeout=60s")
		}
		if err == nil {
			_, err = t.kubectl("rollout", "status", "deployment/rival", "--timeout=60s")
		}
		for _, w := range t.workers {
			err = errors.Join(err, eventually(func() error { return t.client.Seen("tcp", w.addr, "8090", clientAddr) }))
		}
		return name, err
	})
}

// fleet renews 50 pods under load.
func (t *test) fleet() {
	t.Do("a Deployment of 50 pods", func() error {
		return t.deploy(strings.ReplaceAll(fleet, `"RELEASE"`, `"one"`), "deployment/fleet")
	})
	t.Check("its rolling update; the host ports answer all the time", func() (string, error) {
		l := startLoad(t.client, t.edges()...)
		err := t.deploy(strings.ReplaceAll(fleet, `"RELEASE"`, `"two"`), "deployment/fleet")
		detail, lerr := l.end()
		return detail, errors.Join(err, lerr)
	})
	t.Do("it goes", func() error {
		_, err := t.kubectl("delete", "deployment", "fleet", "--cascade=foreground", "--timeout=240s")
		return err
	})
}

// binaries goes back to the reference's plugins under running pods, and forth again.
func (t *test) binaries() {
	t.Check("rollback to the reference's plugins under running pods; a new pod starts", func() (string, error) {
		l := startLoad(t.client, t.edges()...)
		err := t.putReference()
		if err == nil {
			err = t.deploy(strings.ReplaceAll(strings.ReplaceAll(fleet, "replicas: 50", "replicas: 4"), `"RELEASE"`, `"three"`), "deployment/fleet")
		}
		detail, lerr := l.end()
		return detail, errors.Join(err, lerr)
	})
	t.Check("upgrade by restart of the DaemonSet; pods of both makes are replaced", func() (string, error) {
		l := startLoad(t.client, t.edges()...)
		_, err := t.kubectl("-n", "kube-system", "rollout", "restart", "daemonset/bridgeport")
		if err == nil {
			_, err = t.kubectl("-n", "kube-system", "rollout", "status", "daemonset/bridgeport", "--timeout=120s")
		}
		if err == nil {
			err = t.expectOurs()
		}
		if err == nil {
			err = t.deploy(strings.ReplaceAll(strings.ReplaceAll(fleet, "replicas: 50", "replicas: 4"), `"RELEASE"`, `"four"`), "deployment/fleet")
		}
		detail, lerr := l.end()
		return detail, errors.Join(err, lerr)
	})
}

// release goes to another release of the installer's image, and back by the old tag. What is new in its
// plugins are some bytes at their ends.
func (t *test) release() {
	image, err := kit.InstallerImage()
	old := image.Tag
	image.Tag += "-next"
	for name, file := range image.Files {
		if err == nil && strings.HasPrefix(name, "plugins/") {
			image.Files[name], err = next(file)
		}
	}
	for _, w := range t.workers {
		if err == nil {
			err = w.Import(image)
		}
	}
	for _, tag := range []string{image.Tag, old} {
		t.Check("DaemonSet with image "+tag+": other plugins under running pods, and no ask fails", func() (string, error) {
			if err != nil {
				return "", err
			}
			l := startLoad(t.client, t.edges()...)
			_, err := t.kubectl("-n", "kube-system", "set", "image", "daemonset/bridgeport", "install="+tag, "follow="+tag)
			if err == nil {
				_, err = t.kubectl("-n", "kube-system", "rollout", "status", "daemonset/bridgeport", "--timeout=120s")
			}
			if err == nil {
				err = t.expectNext(tag == image.Tag)
			}
			detail, lerr := l.end()
			return detail, errors.Join(err, lerr)
		})
	}
}

// next is a copy of the program with something at its end.
func next(file string) (string, error) {
	data, err := os.ReadFile(file)
	if err != nil {
		return "", err
	}
	f, err := os.CreateTemp("", "next")
	if err != nil {
		return "", err
	}
	_, err = f.Write(append(data, "next"...))
	return f.Name(), errors.Join(err, f.Close())
}

func (t *test) expectNext(is bool) error {
	for _, w := range t.workers {
		data, err := os.ReadFile(w.Root("/opt/cni/bin/bridge"))
		if err == nil && strings.HasSuffix(string(data), "next") != is {
			err = fmt.Errorf("%s: the other release's bridge is there: %t", w.Node.Name, !is)
		}
		if err != nil {
			return err
		}
	}
	return t.expectOurs()
}

// putReference replaces the plugins by the reference's, each by rename.
func (t *test) putReference() error {
	for _, w := range t.workers {
		for _, name := range []string{"bridge", "portmap", "host-local", "loopback"} {
			data, err := os.ReadFile(kit.Repo("bin/reference/" + name))
			if err != nil {
				return err
			}
			at := w.Root("/opt/cni/bin/" + name)
			if err := os.WriteFile(at+".new", data, 0o755); err != nil {
				return err
			}
			if err := os.Rename(at+".new", at); err != nil {
				return err
			}
		}
	}
	return nil
}

func (t *test) expectOurs() error {
	for _, w := range t.workers {
		said, err := w.Run("/opt/cni/bin/bridge", "--version")
		if err == nil && !strings.HasPrefix(said, "bridgeport ") {
			err = fmt.Errorf("%s: bridge --version: %s", w.Node.Name, said)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// killed kills kubelet and containerd of a node under load.
func (t *test) killed() {
	t.Check("kill -9 kubelet and containerd of a node under load, restart: no ask fails", func() (string, error) {
		w := t.workers[1]
		l := startLoad(t.client, t.edges()...)
		err := errors.Join(w.kubelet.Kill(), w.containerd.Kill())
		time.Sleep(2 * time.Second) // the node does without them for a while
		if err == nil {
			err = w.startRuntime()
		}
		if err == nil {
			err = w.startKubelet()
		}
		if err == nil {
			err = kit.Wait(time.Minute, func() error {
				return t.deploy(strings.ReplaceAll(strings.ReplaceAll(fleet, "replicas: 50", "replicas: 8"), `"RELEASE"`, `"five"`), "deployment/fleet")
			})
		}
		detail, lerr := l.end()
		return detail, errors.Join(err, lerr)
	})
}

// gone removes everything and wants both nodes as they were before the pods.
func (t *test) gone() {
	t.Do("all workloads are removed", t.clear)
	for _, w := range t.workers {
		t.Do("nothing is left on "+w.Node.Name+": links, addresses, routes, our rules, leases, results", func() error {
			before := t.idle[w].Without(others)
			return kit.Wait(30*time.Second, func() error {
				now, err := w.State()
				if err != nil {
					return err
				}
				if diff := snapshot.Diff(before, now.Without(others)); len(diff) > 0 {
					return errors.New(strings.Join(diff, "\n"))
				}
				return nil
			})
		})
	}
}

// others says whether a part of the state is kube-proxy's: rules outside our tables.
func others(key string) bool {
	rules := strings.HasPrefix(key, "nft ") || strings.HasPrefix(key, "xtables ")
	return rules && !strings.Contains(key, " bridgeport")
}
