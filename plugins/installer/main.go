// Command installer is what the DaemonSet of conf/kubernetes runs on each node: it puts the plugins
// in place, writes the configuration list from the node's podCIDRs, and keeps routes to those of
// the other nodes. It holds no state: it compares what the API server tells with the node.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"math/rand/v2"
	"os"
	"os/signal"
	"runtime"
	"runtime/debug"
	"text/template"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"golang.org/x/sys/unix"
	corev1 "k8s.io/api/core/v1"
)

var (
	plugins  = flag.String("plugins", "/plugins", "directory with the plugins to install")
	bin      = flag.String("bin", "/host/opt/cni/bin", "directory to install them to")
	form     = flag.String("template", "/etc/bridgeport/conflist.tmpl", "template of the configuration list, in the form of containerd's conf_template")
	conflist = flag.String("conflist", "/host/etc/cni/net.d/10-bridgeport.conflist", "configuration list to write")
	own      = flag.String("node", os.Getenv("NODE_NAME"), "name of this node")
	interval = flag.Duration("interval", 10*time.Second, "time between two looks at this node's own routes; of other nodes the API server tells at once")
	routes   = flag.Bool("routes", true, "keep routes to the other nodes' podCIDRs, by their InternalIP")
	listen   = flag.String("listen", "", "address for /readyz and /metrics, such as 127.0.0.1:9810; none without it")
	once     = flag.Bool("once", false, "install the plugins, write the configuration list and end, within a minute; without it, keep the node in step")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "installer:", err)
		os.Exit(1)
	}
}

// gather is how long further changes are waited for: nodes come in crowds.
const gather = 200 * time.Millisecond

// run installs the plugins, or follows the nodes until a signal ends it. It prints an error
// and tries again, while the node keeps its routes and configuration.
func run() error {
	ctx, stop := signal.NotifyContext(context.Background(), unix.SIGTERM, unix.SIGINT)
	defer stop()
	if *own == "" {
		return fmt.Errorf("node: no name: set NODE_NAME from spec.nodeName")
	}
	c, err := newCluster()
	if err != nil {
		return err
	}
	if *once {
		return c.prepare(ctx)
	}
	// A list of 5,000 nodes is 50 MB of text on its way; what stays of it is 5 MB. With one processor
	// the text does not come in faster than it is forgotten.
	runtime.GOMAXPROCS(1)
	debug.SetMemoryLimit(16 << 20)
	debug.SetGCPercent(40)
	report := &report{err: errNotYet}
	if *listen != "" {
		go report.serve(*listen)
	}
	changes := make(chan struct{}, 1)
	nodes, synced := c.follow(ctx, func() {
		select {
		case changes <- struct{}{}:
		default: // one is enough
		}
	})
	for last, look := "-", time.Now(); ; {
		select {
		case <-ctx.Done():
			return nil
		case <-changes:
			time.Sleep(gather)
		case <-time.After(time.Until(look)): // somebody may have removed a route
			look, c.routes = time.Now().Add(*interval+rand.N(*interval/4+1)), nil
		}
		if !synced() {
			continue // what is not known yet may have a route
		}
		said := "in step"
		if err := c.step(ctx, nodes.List(), report); err != nil {
			said = err.Error()
		}
		if said != last {
			fmt.Fprintln(os.Stderr, "installer:", said)
			last = said
		}
	}
}

// step brings this node in step with the cluster.
func (c *cluster) step(ctx context.Context, list []any, report *report) (err error) {
	defer func() { report.set(len(list), len(c.routes), err) }()
	var self *corev1.Node
	others := make([]*corev1.Node, 0, len(list))
	for _, o := range list {
		if n := o.(*corev1.Node); n.Name == *own {
			self = n
		} else {
			others = append(others, n)
		}
	}
	if self == nil {
		return fmt.Errorf("node %s: the API server does not know it", *own)
	}
	if err := writeConflist(*form, *conflist, self.Spec.PodCIDRs); err != nil || !*routes {
		return err
	}
	if c.routes == nil {
		if c.routes, err = ours(); err != nil {
			return err
		}
	}
	if err := c.routes.keep(others); err != nil {
		return err
	}
	return c.available(ctx, self)
}

var errNoPodCIDRs = errors.New("podCIDRs: the node has none: start kube-controller-manager with --allocate-node-cidrs")

// writeConflist writes the list if it differs: each write makes the runtime load it again.
func writeConflist(tmpl, path string, podCIDRs []string) error {
	if len(podCIDRs) == 0 {
		return errNoPodCIDRs
	}
	t, err := template.ParseFiles(tmpl)
	if err != nil {
		return err
	}
	values := struct { // those of containerd's conf_template
		PodCIDR               string
		PodCIDRRanges, Routes []string // no routes: a default route comes from isDefaultGateway
	}{PodCIDR: podCIDRs[0], PodCIDRRanges: podCIDRs}
	var out bytes.Buffer
	if err := t.Execute(&out, values); err != nil {
		return err
	}
	if !json.Valid(out.Bytes()) {
		return fmt.Errorf("%s: does not give JSON: %s", tmpl, out.Bytes())
	}
	if have, err := os.ReadFile(path); err == nil && bytes.Equal(have, out.Bytes()) {
		return nil
	}
	return file.Replace(path, out.Bytes(), 0o644)
}
