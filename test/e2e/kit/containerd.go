package kit

import (
	"encoding/json"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"
)

// Socket is where containerd listens on a node, and PodImage what pods run: the
// tests' own program.
const (
	Socket   = "/run/containerd/containerd.sock"
	PodImage = "localhost/bridgeport-e2e/pod:1"
	pause    = "localhost/bridgeport-e2e/pause:1"
)

// Edition is one containerd.
type Edition struct {
	Name   string
	Bin    string // directory of its programs
	config string
}

// Without CAP_SYS_RESOURCE, as in many sandboxes, a negative oom_score_adj is refused.
const config1 = `version = 2
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.aufs", "io.containerd.snapshotter.v1.devmapper"]
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "` + pause + `"
  disable_apparmor = true
  restrict_oom_score_adj = true
  stream_server_address = "127.0.0.1"
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir  = "/opt/cni/bin"
    conf_dir = "/etc/cni/net.d"
`

const config2 = `version = 3
disabled_plugins = ["io.containerd.snapshotter.v1.btrfs", "io.containerd.snapshotter.v1.zfs", "io.containerd.snapshotter.v1.devmapper", "io.containerd.snapshotter.v1.erofs", "io.containerd.differ.v1.erofs"]
[plugins."io.containerd.cri.v1.images".pinned_images]
  sandbox = "` + pause + `"
[plugins."io.containerd.cri.v1.runtime"]
  disable_apparmor = true
  restrict_oom_score_adj = true
  [plugins."io.containerd.cri.v1.runtime".cni]
    bin_dirs = ["/opt/cni/bin"]
    conf_dir = "/etc/cni/net.d"
`

// Debian's is containerd 1.6, Module's the newest one, built from its Go module.
func Debian() Edition { return Edition{"Debian's containerd", Cache("debian/usr/bin"), config1} }
func Module() Edition { return Edition{"containerd 2", Cache("bin/containerd"), config2} }

// Templated is the edition with a configuration that makes the network's configuration
// list of a template, once it is told the node's podCIDR.
func (e Edition) Templated(path string) Edition {
	const place = "conf_dir = "
	e.config = strings.Replace(e.config, place, fmt.Sprintf("conf_template = %q\n    %s", path, place), 1)
	return e
}

// PodCIDR tells containerd the node's podCIDRs, as kubelet does.
func (n *Node) PodCIDR(cidrs ...string) error {
	_, err := n.Run("podcidr", Socket, strings.Join(cidrs, ","))
	return err
}

// Containerd starts containerd, on a disk that may have been used before, and imports the
// images.
func (n *Node) Containerd(e Edition) (*Daemon, error) {
	d, err := n.BareContainerd(e)
	if err != nil {
		return nil, err
	}
	return d, errors.Join(n.Import(PauseImage(pause)), n.Import(ServerImage()))
}

// BareContainerd starts containerd with the images that it has.
func (n *Node) BareContainerd(e Edition) (*Daemon, error) {
	n.Path = []string{e.Bin, Cache("bin/crictl")} // its own shim must come first
	if err := n.Write("/etc/containerd/e2e.toml", e.config); err != nil {
		return nil, err
	}
	d, err := n.Start("containerd", filepath.Join(e.Bin, "containerd"), "-c", "/etc/containerd/e2e.toml")
	if err != nil {
		return nil, err
	}
	return d, Wait(20*time.Second, func() error {
		_, err := n.Run("ctr", "-a", Socket, "version")
		return errors.Join(err, d.Alive())
	})
}

// Crictl runs crictl on the node.
func (n *Node) Crictl(args ...string) (string, error) {
	return n.Run(append([]string{"crictl", "-r", "unix://" + Socket, "-i", "unix://" + Socket, "-t", "120s"}, args...)...)
}

// Condition is a part of the runtime's status, as kubelet sees it.
type Condition struct {
	Type, Reason, Message string
	Status                bool
}

// NetworkReady is the runtime's word on its network.
func (n *Node) NetworkReady() (Condition, error) {
	text, err := n.Crictl("info")
	if err != nil {
		return Condition{}, err
	}
	var info struct {
		Status struct{ Conditions []Condition }
	}
	if err := json.Unmarshal([]byte(text), &info); err != nil {
		return Condition{}, err
	}
	for _, c := range info.Status.Conditions {
		if c.Type == "NetworkReady" {
			return c, nil
		}
	}
	return Condition{}, fmt.Errorf("crictl info: no condition NetworkReady in %s", text)
}

// ExpectReady waits until the network is ready, or is not.
func (n *Node) ExpectReady(want bool) (Condition, error) {
	var c Condition
	err := Wait(15*time.Second, func() (err error) {
		if c, err = n.NetworkReady(); err == nil && c.Status != want {
			err = fmt.Errorf("NetworkReady is %v: %s", c.Status, c.Message)
		}
		return err
	})
	return c, err
}
