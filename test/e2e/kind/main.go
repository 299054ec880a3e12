// Command kind is the end-to-end test with kind: Debian's Docker on a host made of
// namespaces, and in its containers a cluster of two nodes by conf/kind/cluster.yaml.
// Bridgeport comes as conf/kind/README.md says. The node image is made here, without a
// registry, of Debian's packages, kind's own files and programs built from their modules.
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	hostV4, hostV6     = "10.10.0.1", "fd10::1"
	clientV4, clientV6 = "10.10.0.9", "fd10::9"
)

// test is the host with Docker, a machine beside it, and the cluster's nodes.
type test struct {
	*kit.Report
	lan     *kit.LAN
	host    *kit.Node
	client  *stage.Space
	control *machine
	worker  *machine
	image   string            // of the nodes
	idle    snapshot.Snapshot // the host's network before kind
}

func main() {
	if len(os.Args) > 1 && os.Args[1] == runtimeMark {
		fmt.Fprintln(os.Stderr, "kind:", containerRuntime(os.Args[2:]))
		os.Exit(1)
	}
	if len(os.Args) > 1 && os.Args[1] == hookMark {
		if err := guard(os.Stdin); err != nil {
			fmt.Fprintln(os.Stderr, "kind: guard:", err)
			os.Exit(1)
		}
		return
	}
	kit.Main("e2e-kind", run)
}

func run(r *kit.Report) error {
	before, err := kit.MachineSysctls()
	if err != nil {
		return err
	}
	t := &test{Report: r}
	if t.lan, err = kit.NewLAN(); err != nil {
		return err
	}
	if t.client, err = t.lan.Join("client", clientV4+"/24,"+clientV6+"/64"); err != nil {
		return err
	}
	r.Section("cluster")
	if t.begin() {
		r.Section("traffic")
		t.traffic()
		r.Section("a node stops and starts")
		t.restart()
		t.closed()
		r.Section("the end")
		t.end()
	} else {
		t.logs()
	}
	t.gone(before)
	return nil
}

// begin takes the steps of conf/kind/README.md.
func (t *test) begin() bool {
	return t.Check("Docker starts on a host of its own", func() (string, error) {
		var err error
		if t.host, err = kit.NewHost(t.lan, "host", hostV4+"/24,"+hostV6+"/64"); err != nil {
			return "", err
		}
		return t.startDocker()
	}) && t.Check("the node image, made once", t.nodeImage) &&
		t.Do("docker load takes it", t.loadImage) &&
		t.Check("kind create cluster: conf/kind/cluster.yaml, and what this machine and the test need", t.create) &&
		t.Do("the nodes have no network yet", t.notReady) &&
		t.Check("kind load image-archive: the installer, and the pods' server", t.loadArchives) &&
		t.Do("conf/kubernetes/bridgeport.yaml makes the nodes ready", t.apply) &&
		t.Check("the DaemonSet has replaced the plugins of kind's image, and added bridge", t.ours) &&
		t.Do("pods start, CoreDNS too", t.startPods)
}

// run runs a program on the host.
func (t *test) run(argv ...string) (string, error) { return t.host.Run(argv...) }

// kubectl runs kubectl on the host, with the configuration that kind wrote.
func (t *test) kubectl(args ...string) (string, error) {
	return t.run(append([]string{"kubectl", "--kubeconfig", kubeconfig}, args...)...)
}

// logs keeps what the nodes say, for those who look for a failure.
func (t *test) logs() {
	if t.host == nil {
		return
	}
	if out, err := t.run("kind", "export", "logs", kit.Cache("log/kind/nodes")); err != nil {
		fmt.Println(strings.TrimSpace(out), err)
	}
}

// gone ends the host, and wants the machine as it was.
func (t *test) gone(before map[string]string) {
	t.Do("the host ends, and its control groups", func() error {
		if t.host == nil {
			return nil
		}
		return t.host.PowerOff()
	})
	t.Check("the machine's own settings are what they were", func() (string, error) {
		after, err := kit.MachineSysctls()
		if err != nil {
			return "", err
		}
		for key, value := range before {
			if after[key] != value {
				err = fmt.Errorf("%w\n%s: %s, was %s", err, key, after[key], value)
			}
		}
		return fmt.Sprint(len(after), " settings"), err
	})
}
