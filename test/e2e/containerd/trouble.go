package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"strings"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

func mentions(err error, texts ...string) error {
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			return fmt.Errorf("the error does not say %q: %w", text, err)
		}
	}
	return nil
}

// changed is the sample with another bridge and other subnets, and without portmap.
func (t *test) changed(bridge string, subnets ...string) (string, error) {
	var list object
	if err := json.Unmarshal([]byte(t.sample), &list); err != nil {
		return "", err
	}
	plugin := list["plugins"].([]any)[0].(object)
	plugin["bridge"] = bridge
	ranges := []any{}
	for _, s := range subnets {
		ranges = append(ranges, []any{object{"subnet": s}})
	}
	plugin["ipam"].(object)["ranges"] = ranges
	list["plugins"] = []any{plugin}
	text, err := json.Marshal(list)
	return string(text), err
}

// configure changes the node's configuration list and waits until containerd has it.
func (t *test) configure(text string) error {
	if err := t.node.Write(conflist, text); err != nil {
		return err
	}
	time.Sleep(500 * time.Millisecond) // its watcher says nothing
	return nil
}

// exhausted gives the node a pool of one address.
func (t *test) exhausted() {
	t.Check("a full pool: pods are refused with our reason", func() (string, error) {
		small, err := t.changed("cni0", "10.88.200.0/30")
		if err == nil {
			err = t.configure(small)
		}
		if err != nil {
			return "", err
		}
		if _, err = t.node.RunPod("last"); err != nil {
			return "", err
		}
		p, err := t.node.RunPod("toomany")
		if err == nil {
			return "", errors.Join(errors.New("it started"), p.Remove())
		}
		return "", mentions(err, "10.88.200.0/30")
	})
	if t.modern { // containerd 1.6 knows no STATUS
		t.Check("STATUS is polled: NetworkReady is false with our reason", func() (string, error) {
			c, err := t.node.ExpectReady(false)
			if err == nil {
				err = mentions(errors.New(c.Message), "10.88.200.0/30")
			}
			return c.Reason, err
		})
	}
	t.Do("ready again with the pod gone", func() error {
		err := t.node.RemovePods()
		if err == nil {
			_, err = t.node.ExpectReady(true)
		}
		return errors.Join(err, t.configure(t.sample))
	})
}

// reconfigured removes pods under another configuration than they started with:
// containerd hands DEL the present one.
func (t *test) reconfigured() {
	t.Do("the configuration changes under a pod: the old one works, a new one follows it", func() error {
		other, err := t.changed("cni9", "10.99.0.0/24")
		if err == nil {
			err = t.configure(other)
		}
		if err != nil {
			return err
		}
		p, err := t.node.RunPod("warm") // makes the other bridge, for the comparison
		if err == nil {
			err = errors.Join(p.Remove(), t.configure(t.sample), t.warm())
		}
		if err != nil {
			return err
		}
		old, err := t.node.ServePod("old", kit.TCP(8080, 80))
		if err == nil {
			err = t.configure(other)
		}
		if err != nil {
			return err
		}
		defer old.Space.NS.Close()
		next, err := t.node.RunPod("next")
		if err != nil {
			return err
		}
		defer next.Space.NS.Close()
		if got := next.Addrs[0].String(); !strings.HasPrefix(got, "10.99.0.") {
			return fmt.Errorf("the new pod has %s", got)
		}
		return t.client.Seen("tcp", kit.NodeV4, "8080", kit.ClientV4)
	})
	t.Do("both are removed under the new configuration", func() error { return t.node.RemovePods() })
	t.leavesNothing("nothing is left of the old one: no port, link or lease")
	if err := t.configure(t.sample); err != nil {
		t.Do("the sample again", func() error { return err })
	}
}

// killed kills containerd after our ADD and before its own record of it.
func (t *test) killed() {
	t.Check("kill -9 containerd between ADD and its record; restart; remove; GC", func() (string, error) {
		if err := t.hold(); err != nil {
			return "", err
		}
		failed := make(chan error, 1)
		go func() {
			_, err := t.node.RunPod("orphan", kit.TCP(8080, 80))
			failed <- err
		}()
		err := kit.Wait(20*time.Second, func() error {
			_, err := os.Stat(t.node.Root("/run/tmp/holding"))
			return err
		})
		if err == nil {
			err = t.containerd.Kill()
		}
		if err == nil {
			err = os.Remove(t.node.Root("/run/tmp/hold"))
		}
		if err == nil && <-failed == nil {
			err = errors.New("crictl says the pod started")
		}
		if err == nil {
			err = errors.Join(t.configure(t.sample), t.start())
		}
		if err != nil {
			return "", err
		}
		ids, err := t.node.Pods()
		if err == nil {
			err = t.node.RemovePods()
		}
		if err == nil {
			err = t.node.GC(conflist, nil)
		}
		return fmt.Sprintf("containerd knew %d pods", len(ids)), err
	})
	t.Do("no lease, link, port or rule is lost", t.node.ExpectNothing)
	t.comesAndGoes()
}

// hold makes the next ADD wait at the end of the chain.
func (t *test) hold() error {
	program, err := os.ReadFile(kit.Repo("bin/e2e/hold"))
	if err != nil {
		return err
	}
	if err := os.WriteFile(t.node.Root("/opt/cni/bin/hold"), program, 0o755); err != nil {
		return err
	}
	var list object
	if err := json.Unmarshal([]byte(t.sample), &list); err != nil {
		return err
	}
	list["plugins"] = append(list["plugins"].([]any), object{"type": "hold"})
	text, err := json.Marshal(list)
	if err != nil {
		return err
	}
	return errors.Join(t.configure(string(text)), t.node.Write("/run/tmp/hold", ""))
}

// crowd is how many pods come and go at once.
const crowd = 100

func (t *test) crowd() {
	t.Check(fmt.Sprintf("%d pods start in parallel, each with its own address and port", crowd), func() (string, error) {
		addrs := make(map[string]string)
		var lock sync.Mutex
		err := kit.Together(crowd, func(i int) error {
			p, err := t.node.RunPod(fmt.Sprint("crowd", i), kit.TCP(9000+i, 80))
			if err != nil {
				return err
			}
			lock.Lock()
			defer lock.Unlock()
			for _, a := range p.Addrs {
				if other, taken := addrs[a.String()]; taken {
					return fmt.Errorf("%s and %s have %s", other, p.Name, a)
				}
				addrs[a.String()] = p.Name
			}
			return p.Space.NS.Close()
		})
		return fmt.Sprintf("%d addresses", len(addrs)), err
	})
	t.Do("all are removed in parallel", func() error {
		ids, err := t.node.Pods()
		if err == nil && len(ids) != crowd {
			err = fmt.Errorf("containerd knows %d pods", len(ids))
		}
		if err != nil {
			return err
		}
		return kit.Together(crowd, func(i int) error {
			_, err := t.node.Crictl("rmp", "-f", ids[i])
			return err
		})
	})
	t.leavesNothing("nothing is left of them")
}

// rebooted cuts the node's power under a running pod.
func (t *test) rebooted() {
	t.Do("power off under a pod with a published port, power on, containerd starts", func() error {
		p, err := t.node.ServePod("before", kit.TCP(8080, 80))
		if err == nil {
			err = errors.Join(p.Space.NS.Close(), t.node.PowerOff())
		}
		if err == nil {
			err = t.node.PowerOn()
		}
		if err != nil {
			return err
		}
		return t.start()
	})
	t.Do("a new pod takes the host port", func() error {
		p, err := t.node.ServePod("after", kit.TCP(8080, 80))
		if err == nil {
			err = errors.Join(t.client.Seen("tcp", kit.NodeV4, "8080", kit.ClientV4), p.Space.NS.Close())
		}
		return err
	})
	t.Do("with all pods removed no lease, link or result is left", func() error {
		if err := errors.Join(t.node.RemovePods(), t.node.GC(conflist, nil)); err != nil {
			return err
		}
		return t.node.ExpectNothing()
	})
}
