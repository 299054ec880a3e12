// Command installer is what the DaemonSet of conf/kubernetes runs on each node: it puts the plugins
// in place, writes the configuration list from the node's podCIDRs, and keeps routes to those of
// the other nodes. It holds no state: each time it compares the API server's list with the node.
package main

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"text/template"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"golang.org/x/sys/unix"
)

var (
	plugins  = flag.String("plugins", "/plugins", "directory with the plugins to install")
	bin      = flag.String("bin", "/host/opt/cni/bin", "directory to install them to")
	form     = flag.String("template", "/etc/bridgeport/conflist.tmpl", "template of the configuration list, in the form of containerd's conf_template")
	conflist = flag.String("conflist", "/host/etc/cni/net.d/10-bridgeport.conflist", "configuration list to write")
	own      = flag.String("node", os.Getenv("NODE_NAME"), "name of this node")
	interval = flag.Duration("interval", 10*time.Second, "time between two looks at the list of nodes")
	routes   = flag.Bool("routes", true, "keep routes to the other nodes' podCIDRs, by their InternalIP")
	once     = flag.Bool("once", false, "install the plugins, bring the node in step and end; without it, keep it in step")
)

func main() {
	flag.Parse()
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "installer:", err)
		os.Exit(1)
	}
}

// run installs the plugins, or follows the nodes until a signal ends it. It prints an error of
// follow and tries again, while the node keeps its routes and configuration.
func run() error {
	end := make(chan os.Signal, 1)
	signal.Notify(end, unix.SIGTERM, unix.SIGINT)
	if *own == "" {
		return fmt.Errorf("node: no name: set NODE_NAME from spec.nodeName")
	}
	api, err := newAPI()
	if err != nil {
		return err
	}
	if *once {
		if err := installPlugins(*plugins, *bin); err != nil {
			return err
		}
		return follow(api)
	}
	last := "-"
	for {
		said := "in step"
		if err := follow(api); err != nil {
			said = err.Error()
		}
		if said != last {
			fmt.Fprintln(os.Stderr, "installer:", said)
			last = said
		}
		select {
		case <-end:
			return nil
		case <-time.After(*interval):
		}
	}
}

func follow(api *api) error {
	nodes, err := api.nodes()
	if err != nil {
		return err
	}
	i := slices.IndexFunc(nodes, func(n node) bool { return n.Metadata.Name == *own })
	if i < 0 {
		return fmt.Errorf("node %s: the API server does not know it", *own)
	}
	if err := writeConflist(*form, *conflist, nodes[i].Spec.PodCIDRs); err != nil || !*routes {
		return err
	}
	return keepRoutes(slices.Delete(nodes, i, i+1))
}

// installPlugins replaces each plugin by a rename: no call meets half a file or a busy one (ETXTBSY).
func installPlugins(from, to string) error {
	entries, err := os.ReadDir(from)
	if err != nil {
		return err
	}
	for _, e := range entries {
		if err := file.Copy(filepath.Join(from, e.Name()), filepath.Join(to, e.Name()), 0o755); err != nil {
			return fmt.Errorf("plugin %s: install: %w", e.Name(), err)
		}
	}
	return nil
}

// writeConflist writes the list if it differs: each write makes the runtime load it again.
func writeConflist(tmpl, path string, podCIDRs []string) error {
	if len(podCIDRs) == 0 {
		return errors.New("podCIDRs: the node has none: start kube-controller-manager with --allocate-node-cidrs")
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
