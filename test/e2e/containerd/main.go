// Command containerd is the end-to-end test with containerd, Debian's and the newest:
// pods through its CRI, driven by crictl as kubelet would.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const conflist = "/etc/cni/net.d/10-bridgeport.conflist"

type object = map[string]any

// test is one containerd on one node, and a machine beside it.
type test struct {
	*kit.Report
	edition    kit.Edition
	node       *kit.Node
	client     *stage.Space
	containerd *kit.Daemon
	version    string
	sample     string            // the configuration list that users copy
	idle       snapshot.Snapshot // after the first pod has come and gone
	modern     bool              // polls STATUS
}

func main() { kit.Main("e2e-containerd", run) }

func run(r *kit.Report) error {
	sample, err := os.ReadFile(kit.Repo("conf/containerd/10-bridgeport-dualstack.conflist"))
	if err != nil {
		return err
	}
	site, err := kit.NewSite()
	if err != nil {
		return err
	}
	editions := map[string]kit.Edition{"debian": kit.Debian(), "module": kit.Module()}
	wanted := os.Args[1:]
	if len(wanted) == 0 {
		wanted = []string{"debian", "module"}
	}
	for _, name := range wanted {
		edition, ok := editions[name]
		if !ok {
			return fmt.Errorf("%s: not debian or module", name)
		}
		r.Section(edition.Name)
		t := &test{Report: r, edition: edition, client: site.Client, sample: string(sample), modern: name == "module"}
		for _, boot := range []struct {
			node string
			test func()
		}{{"node-" + name, t.all}, {"tmpl-" + name, t.templated}} {
			if t.node, err = site.Node(boot.node); err != nil {
				return err
			}
			boot.test()
			if boot.node == "node-"+name {
				r.Called("containerd "+t.version, t.node)
			}
			if err := t.node.PowerOff(); err != nil {
				return err
			}
		}
	}
	return nil
}

// all is everything with the sample as it is.
func (t *test) all() {
	if !t.begin() {
		return
	}
	t.traffic()
	t.exhausted()
	t.reconfigured()
	t.killed()
	t.crowd()
	t.rebooted()
}

// templated has containerd make the configuration list of conf_template.
func (t *test) templated() {
	const template = "/etc/cni/bridgeport.conflist.tmpl"
	t.edition = t.edition.Templated(template)
	t.Do("conf_template: no network before the podCIDR is known", func() error {
		sample, err := os.ReadFile(kit.Repo("conf/containerd/bridgeport.conflist.tmpl"))
		if err == nil {
			err = errors.Join(t.node.InstallPlugins(), t.node.Write(template, string(sample)))
		}
		if err == nil {
			t.containerd, err = t.node.Containerd(t.edition)
		}
		if err == nil {
			_, err = t.node.ExpectReady(false)
		}
		return err
	})
	t.Check("kubelet tells podCIDRs: a pod has an address of each", func() (string, error) {
		err := t.node.PodCIDR("10.244.7.0/24", "fd00:10:244:7::/64")
		if err == nil {
			_, err = t.node.ExpectReady(true)
		}
		if err != nil {
			return "", err
		}
		p, err := t.node.RunPod("templated", kit.TCP(8080, 80))
		if err != nil {
			return "", err
		}
		for i, want := range []string{"10.244.7.", "fd00:10:244:7:"} {
			if i >= len(p.Addrs) || !strings.HasPrefix(p.Addrs[i].String(), want) {
				return "", errors.Join(fmt.Errorf("its addresses are %v", p.Addrs), p.Remove())
			}
		}
		return fmt.Sprint(p.Addrs), p.Remove()
	})
}

// begin brings the node up, and one pod up and down, since the first one also makes
// what all share: bridge, tables, sysctls.
func (t *test) begin() bool {
	return t.Check("containerd starts and finds the network ready", func() (string, error) {
		if err := t.node.InstallPlugins(); err != nil {
			return "", err
		}
		if err := t.node.Write(conflist, t.sample); err != nil {
			return "", err
		}
		if err := t.start(); err != nil {
			return "", err
		}
		text, err := t.node.Run("containerd", "--version") // program, module, version
		if words := strings.Fields(text); len(words) > 2 {
			t.version, _, _ = strings.Cut(strings.TrimPrefix(words[2], "v"), "+") // 2.4.2+unknown
			t.version, _, _ = strings.Cut(t.version, "~")                         // Debian's 1.6.20~ds1
		}
		return t.version, err
	}) && t.comesAndGoes()
}

func (t *test) comesAndGoes() bool { return t.Do("the first pod comes and goes", t.warm) }

// warm starts and removes a pod, so that what all pods share exists, and remembers the
// state.
func (t *test) warm() error {
	p, err := t.node.RunPod("first", kit.TCP(8080, 80))
	if err == nil {
		err = p.Remove()
	}
	if err == nil {
		t.idle, err = t.node.Settled()
	}
	return err
}

func (t *test) start() (err error) {
	if t.containerd, err = t.node.Containerd(t.edition); err == nil {
		_, err = t.node.ExpectReady(true)
	}
	return err
}

// leavesNothing wants the node as it was before the first of its pods.
func (t *test) leavesNothing(what string) {
	t.Do(what, func() error { return t.node.ExpectState(t.idle) })
}
