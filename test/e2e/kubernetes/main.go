// Command kubernetes is the end-to-end test with Kubernetes: a control plane and two
// workers with kubelet, containerd and kube-proxy, each a node in namespaces of its own;
// Bridgeport comes by its DaemonSet, as users apply it.
package main

import (
	"errors"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// test is the cluster with its report.
type test struct {
	*kit.Report
	*cluster
	idle map[*worker]snapshot.Snapshot
}

func main() { kit.Main("e2e-kubernetes", run) }

func run(r *kit.Report) error {
	c, err := newCluster()
	if err != nil {
		return err
	}
	t := &test{Report: r, cluster: c, idle: make(map[*worker]snapshot.Snapshot)}
	r.Section("cluster")
	if !t.begin() {
		return nil
	}
	for _, mode := range []string{"iptables", "nftables"} {
		r.Section("kube-proxy in mode " + mode)
		t.proxies(mode)
		t.traffic()
	}
	r.Section("trouble")
	t.rivals()
	t.fleet()
	t.binaries()
	t.release()
	t.killed()
	t.gone()
	v, err := kit.ModuleVersion(program("kubelet"))
	if err != nil {
		return err
	}
	r.Called("Kubernetes "+v+" with containerd", t.workers[0].Node, t.workers[1].Node)
	return nil
}

// begin brings up the cluster and, by the manifest, Bridgeport.
func (t *test) begin() bool {
	return t.Check("etcd, API server, controllers, scheduler", func() (string, error) {
		if err := t.control(); err != nil {
			return "", err
		}
		return kit.ModuleVersion(program("kubelet"))
	}) && t.Check("two nodes join and get their podCIDRs", func() (string, error) {
		for _, w := range t.workers {
			if err := t.join(w); err != nil {
				return "", err
			}
		}
		var cidrs string
		err := kit.Wait(time.Minute, func() (err error) {
			cidrs, err = t.kubectl("get", "nodes", "-o", "jsonpath={.items[*].spec.podCIDR}")
			if err == nil && len(strings.Fields(cidrs)) != 2 {
				err = errors.New("podCIDRs: " + cidrs)
			}
			return err
		})
		return cidrs, err
	}) && t.Do("conf/kubernetes/bridgeport.yaml makes them ready", func() error {
		manifest, err := os.ReadFile(kit.Repo("conf/kubernetes/bridgeport.yaml"))
		if err == nil {
			err = t.apply(string(manifest))
		}
		if err != nil {
			return err
		}
		_, err = t.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=90s")
		return err
	}) && t.Do("pods come and go", func() error {
		err := errors.Join(t.deploy(web, "deployment/web"), t.deploy(edge, "daemonset/edge"), t.clear())
		for _, w := range t.workers {
			if err == nil {
				t.idle[w], err = w.Settled()
			}
		}
		return err
	})
}

// deploy applies a manifest and waits until its pods run.
func (t *test) deploy(manifest, what string) error {
	// kubectl creates no pods before the namespace has its service account.
	err := kit.Wait(30*time.Second, func() error {
		_, err := t.kubectl("get", "serviceaccount", "default")
		return err
	})
	if err == nil {
		err = t.apply(manifest)
	}
	if err == nil {
		_, err = t.kubectl("rollout", "status", what, "--timeout=240s")
	}
	return err
}

// clear removes all workloads and waits until no pod is left.
func (t *test) clear() error {
	if _, err := t.kubectl("delete", "deployment,daemonset,service", "--all", "--cascade=foreground", "--timeout=240s"); err != nil {
		return err
	}
	return kit.Wait(4*time.Minute, func() error {
		left, err := t.kubectl("get", "pods", "-o", "name")
		if err == nil && left != "" {
			err = fmt.Errorf("%d pods are left", len(strings.Fields(left)))
		}
		return err
	})
}

// proxies makes all kube-proxies work in a mode.
func (t *test) proxies(mode string) {
	t.Do("kube-proxy starts", func() error {
		for _, w := range t.workers {
			if err := errors.Join(w.proxy.Stop(), w.startProxy(mode)); err != nil {
				return err
			}
		}
		return nil
	})
}
