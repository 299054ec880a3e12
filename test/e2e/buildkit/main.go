// Command buildkit is the end-to-end test with buildkitd, which makes network namespaces
// in advance and attaches them by CNI: with conf/buildkit, and with the list of its own.
package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

const (
	socket    = "unix:///run/buildkit/buildkitd.sock"
	renamed   = "/opt/buildkit" // buildkitd's copies of the plugins
	ownBridge = "buildkit0"
)

// ownList is the configuration of buildkitd's own list; its standard subnet is the LAN's.
const ownList = `[worker.oci]
  cniPoolSize = 3
  bridgeName = "` + ownBridge + `"
  bridgeSubnet = "10.83.0.0/16"
`

// test is buildkitd on one node, and a machine beside it.
type test struct {
	*kit.Report
	node     *kit.Node
	buildkit *kit.Daemon
	version  string
	mode     string // of the worker's network
	config   string
	bridge   string
	dual     bool              // builds have both families
	idle     snapshot.Snapshot // after buildkitd has come and gone
}

func main() { kit.Main("e2e-buildkit", run) }

func run(r *kit.Report) error {
	site, err := kit.NewSite()
	if err == nil {
		err = site.Serve("7000")
	}
	if err != nil {
		return err
	}
	config, err := os.ReadFile(kit.Repo("conf/buildkit/buildkitd.toml"))
	if err != nil {
		return err
	}
	for _, t := range []*test{
		{mode: "cni", config: string(config), bridge: "cni-buildkit0", dual: true},
		{mode: "bridge", config: ownList, bridge: ownBridge},
	} {
		t.Report = r
		r.Section("buildkitd, --oci-worker-net=" + t.mode)
		if t.node, err = site.Node(t.mode); err != nil {
			return err
		}
		t.all()
		r.Called(fmt.Sprintf("BuildKit %s (`%s`)", t.version, t.mode), t.node)
		if err := t.node.PowerOff(); err != nil {
			return err
		}
	}
	return nil
}

func (t *test) all() {
	if !t.begin() {
		return
	}
	t.builds()
	t.traffic()
	if t.mode == "cni" {
		t.end("SIGTERM: the pool is released, nothing is left but what all share")
	} else {
		t.unbridged()
		t.end("SIGTERM: the pool is released, its bridge deleted, nothing is left")
	}
	t.killed()
}

// begin brings the node up, and buildkitd up and down: what stays then is idle.
func (t *test) begin() bool {
	return t.Check("starts with the configuration as it is, and ends", func() (string, error) {
		err := t.install()
		if err == nil {
			err = t.start()
		}
		if err == nil {
			_, err = t.build("first", nil, ask("tcp", kit.ClientV4))
		}
		if err == nil {
			err = t.buildkit.Stop()
		}
		if err == nil {
			t.idle, err = t.node.Settled()
		}
		if err != nil {
			return "", err
		}
		t.version, err = kit.ModuleVersion(kit.Cache("bin/buildkit/buildkitd"))
		return t.version, errors.Join(err, t.bridgeIs(t.mode == "cni"), t.node.ExpectUnattached())
	})
}

// install puts programs, plugins and the context of builds on the node.
func (t *test) install() error {
	t.node.Path = []string{kit.Cache("bin/buildkit"), renamed}
	sample, err := os.ReadFile(kit.Repo("conf/buildkit/bridgeport.conflist"))
	config := t.config + "  defaultCgroupParent = \"" + t.node.Cgroup() + "\"\n"
	err = errors.Join(err, t.node.Copy(kit.Repo("bin/e2e/pod"), filepath.Join(contextDir, "pod")),
		t.node.Write("/etc/buildkit/buildkitd.toml", config))
	if t.mode == "cni" {
		return errors.Join(err, t.node.InstallPlugins(), t.node.Write("/etc/buildkit/bridgeport.conflist", string(sample)))
	}
	for _, name := range []string{"bridge", "loopback", "host-local"} {
		err = errors.Join(err, t.node.Copy(kit.Repo("bin/"+name), renamed+"/buildkit-cni-"+name))
	}
	return errors.Join(err, t.node.Copy(kit.Cache("bin/buildkit/firewall"), renamed+"/buildkit-cni-firewall"))
}

// start starts buildkitd and waits until its pool is full.
func (t *test) start() (err error) {
	if t.buildkit, err = t.node.Start("buildkitd", "buildkitd", "--oci-worker-net="+t.mode); err != nil {
		return err
	}
	return kit.Wait(30*time.Second, func() error {
		if _, err := t.node.Run("buildctl", "--addr", socket, "debug", "workers"); err != nil {
			return errors.Join(err, t.buildkit.Alive())
		}
		return t.pooled(poolSize)
	})
}

// bridgeIs wants the bridge to be there, or not.
func (t *test) bridgeIs(want bool) error {
	have, err := kit.Links(t.node.Space)
	if err == nil && slices.Contains(have, t.bridge) != want {
		err = fmt.Errorf("the links are %s", strings.Join(have, " "))
	}
	return err
}

func (t *test) end(what string) {
	t.Do(what, func() error {
		return errors.Join(t.buildkit.Stop(), t.node.ExpectState(t.idle), t.pooled(0), t.bridgeIs(t.mode == "cni"))
	})
}
