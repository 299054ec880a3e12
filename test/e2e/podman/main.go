// Command podman is the end-to-end test with Debian's podman and its CNI backend.
package main

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const image = "localhost/bridgeport-e2e/pod:1"

// settings are what this machine needs beside the sample: no CAP_SYS_RESOURCE to raise
// limits, no systemd, and control groups that crun does not take.
const settings = `[containers]
default_ulimits = ["nofile=1024:1024", "nproc=4096:4096"]
[engine]
runtime = "runc"
cgroup_manager = "cgroupfs"
events_logger = "file"
`

type test struct {
	*kit.Report
	node   *kit.Node
	client *stage.Space
	idle   snapshot.Snapshot

	version string
}

func main() { kit.Main("e2e-podman", run) }

func run(r *kit.Report) error {
	site, err := kit.NewSite()
	if err != nil {
		return err
	}
	t := &test{Report: r, client: site.Client}
	if t.node, err = site.Node("node"); err != nil {
		return err
	}
	r.Section("podman, CNI backend")
	if t.begin() {
		t.published()
		t.addresses()
		t.second()
		t.pod()
		t.end()
		r.Called("podman "+t.version, t.node)
	}
	return t.node.PowerOff()
}

func (t *test) begin() bool {
	return t.Check("podman takes conf/podman as it is", func() (string, error) {
		err := t.node.InstallPlugins()
		for from, to := range map[string]string{
			"bridgeport.conflist": "/etc/cni/net.d/bridgeport.conflist",
			"containers.conf":     "/etc/containers/containers.conf.d/bridgeport.conf",
		} {
			text, rerr := os.ReadFile(kit.Repo(filepath.Join("conf/podman", from)))
			err = errors.Join(err, rerr, t.node.Write(to, string(text)))
			if from == "bridgeport.conflist" { // a second network like the first
				other := strings.NewReplacer(`"bridgeport"`, `"other"`, "cni-podman1", "cni-podman2", "10.90.", "10.91.", "fd00:90:", "fd00:91:").Replace(string(text))
				err = errors.Join(err, t.node.Write("/etc/cni/net.d/other.conflist", other))
			}
		}
		err = errors.Join(err, t.node.Write("/etc/containers/containers.conf.d/machine.conf", settings))
		if err == nil {
			err = t.load()
		}
		if err != nil {
			return "", err
		}
		if t.version, err = t.podman("version", "--format", "{{.Client.Version}}"); err != nil {
			return "", err
		}
		networks, err := t.podman("network", "ls", "--format", "{{.Name}}")
		if err == nil && !strings.Contains(networks, "bridgeport") {
			err = errors.New("networks: " + networks)
		}
		return t.version, err
	}) && t.Do("containers on both networks come and go", func() error {
		err := errors.Join(t.run("first", "--network", "bridgeport,other", "-p", "8080:80"), t.remove("first"))
		if err == nil {
			t.idle, err = t.node.Settled()
		}
		return err
	})
}

// load gives podman the image.
func (t *test) load() error {
	file := "/var/lib/nodes/image.tar"
	i := kit.Image{Tag: image, Command: []string{"/pod", "serve"}, Files: map[string]string{"pod": kit.Repo("bin/e2e/pod")}}
	if err := i.Write(file); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	_, err = t.node.Feed(f, "podman", "load")
	return err
}

func (t *test) podman(args ...string) (string, error) {
	return t.node.Run(append([]string{"podman"}, args...)...)
}

// run starts a container and waits until it serves.
func (t *test) run(name string, args ...string) error {
	argv := append([]string{"run", "-d", "--pull=never", "--name", name, "--cgroup-parent", t.node.Cgroup()}, args...)
	if _, err := t.podman(append(argv, image)...); err != nil {
		return err
	}
	space, err := t.enter(name)
	if err != nil {
		return err
	}
	return errors.Join(kit.Wait(10*time.Second, func() error {
		return errors.Join(space.Seen("tcp", "127.0.0.1", "80"), space.Seen("udp", "127.0.0.1", "80"))
	}), space.NS.Close())
}

func (t *test) remove(name string) error {
	_, err := t.podman("rm", "-f", "-t", "1", name)
	return err
}

// enter opens the container's network namespace.
func (t *test) enter(name string) (*stage.Space, error) {
	path, err := t.podman("inspect", "--format", "{{.NetworkSettings.SandboxKey}}", name)
	if err != nil {
		return nil, err
	}
	return t.node.Enter(path)
}
