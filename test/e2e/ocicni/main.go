// Command ocicni is the end-to-end test with CRI-O's CNI library, ocicni: its own code
// calls the plugins, in CRI-O's order, for network namespaces that stand for pods.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	confDir    = "/etc/cni/net.d"
	sampleFile = "10-bridgeport.conflist"
	portsFile  = "20-ports.conflist"
	secondFile = "30-second.conflist"
)

type object = map[string]any

// test is one node with the library's daemon, and a machine beside it.
type test struct {
	*kit.Report
	node   *kit.Node
	client *stage.Space
	crio   *kit.Daemon
	lists  map[string]string // configuration lists by file
	idle   snapshot.Snapshot // after a pod of each network has come and gone
}

func main() { kit.Main("e2e-ocicni", run) }

func run(r *kit.Report) error {
	site, err := kit.NewSite()
	if err != nil {
		return err
	}
	t := &test{Report: r, client: site.Client}
	if t.node, err = site.Node("node"); err != nil {
		return err
	}
	if t.lists, err = lists(); err != nil {
		return err
	}
	r.Section("ocicni 0.4.3, as CRI-O calls it")
	if t.begin() {
		t.traffic()
		t.checked()
		t.ports()
		t.twoNetworks()
		t.restarted()
		t.tornDown()
		t.reconfigured()
		t.crowd()
		t.rebooted()
		r.Called("ocicni 0.4.3, CRI-O's library", t.node)
	}
	return t.node.PowerOff()
}

// lists are the sample as it is, one like it that publishes ports, and one that adds a
// second link to a pod.
func lists() (map[string]string, error) {
	text, err := os.ReadFile(kit.Repo(filepath.Join("conf/crio", sampleFile)))
	if err != nil {
		return nil, err
	}
	ports, err := variant(text, "ports", "cni1", "10.86.0.0/16", "fd00:86::/64", func(bridge object) []any {
		return []any{bridge, object{"type": "portmap", "capabilities": object{"portMappings": true}}}
	})
	if err != nil {
		return nil, err
	}
	second, err := variant(text, "second", "cni2", "10.87.0.0/16", "fd00:87::/64", func(bridge object) []any {
		delete(bridge, "isDefaultGateway")
		bridge["isGateway"] = true
		return []any{bridge}
	})
	return map[string]string{sampleFile: string(text), portsFile: ports, secondFile: second}, err
}

func variant(sample []byte, name, bridge, subnet4, subnet6 string, plugins func(object) []any) (string, error) {
	var list object
	if err := json.Unmarshal(sample, &list); err != nil {
		return "", err
	}
	list["name"] = name
	plugin := list["plugins"].([]any)[0].(object)
	plugin["bridge"] = bridge
	plugin["ipam"].(object)["ranges"] = []any{[]any{object{"subnet": subnet4}}, []any{object{"subnet": subnet6}}}
	list["plugins"] = plugins(plugin)
	text, err := json.Marshal(list)
	return string(text), err
}

// begin starts the daemon without a network, as on a node that is just being set up.
func (t *test) begin() bool {
	return t.Do("without a configuration: not ready, and a pod is refused", func() error {
		if err := errors.Join(t.node.InstallPlugins(), t.start()); err != nil {
			return err
		}
		if _, err := t.call("ready", nil); err == nil {
			return errors.New("it is ready")
		}
		p, err := t.newPod("early")
		if err == nil && t.setUp(p) == nil {
			err = errors.New("the pod was set up")
		}
		return errors.Join(err, p.end())
	}) && t.Check("conf/crio is copied as it is: the watcher finds it, STATUS is good", func() (string, error) {
		if err := t.configure(); err != nil {
			return "", err
		}
		var name string
		err := kit.Wait(10*time.Second, func() error {
			a, err := t.call("ready", nil)
			name = a.Default
			return err
		})
		if err == nil && name != "bridgeport" {
			err = fmt.Errorf("the default network is %q", name)
		}
		return name, err
	}) && t.Do("a pod of each network comes and goes", t.warm)
}

// configure writes all lists.
func (t *test) configure() (err error) {
	for file, text := range t.lists {
		err = errors.Join(err, t.node.Write(filepath.Join(confDir, file), text))
	}
	return err
}

// warm sets up and tears down a pod on all networks, so that what pods share exists, and
// remembers the state.
func (t *test) warm() error {
	p, err := t.newPod("first", on("bridgeport"), on("second"))
	if err != nil {
		return err
	}
	q, err := t.newPod("firstports", on("ports"), mapping("ports", tcp(8080, 80)))
	if err != nil {
		return err
	}
	err = kit.Wait(10*time.Second, func() error { return t.setUp(p) })
	if err == nil {
		err = t.setUp(q)
	}
	if err = errors.Join(err, t.remove(p), t.remove(q)); err == nil {
		t.idle, err = t.node.Settled()
	}
	return err
}

// leavesNothing wants the node as it was before the first of its pods.
func (t *test) leavesNothing(what string) {
	t.Do(what, func() error { return t.node.ExpectState(t.idle) })
}

// bridgeport runs the command on the node.
func (t *test) bridgeport(args ...string) (string, error) {
	return t.node.Run(append([]string{kit.Repo("bin/bridgeport")}, args...)...)
}

func mentions(err error, texts ...string) error {
	for _, text := range texts {
		if err == nil || !strings.Contains(err.Error(), text) {
			return fmt.Errorf("the error does not say %q: %w", text, err)
		}
	}
	return nil
}
