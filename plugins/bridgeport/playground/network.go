package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/version"
)

// Network is which network a lab is to have. The zero one is the one that it has, or Likes[0].
type Network struct {
	Like string // one of Likes
	File string // a configuration list
}

// Likes are the networks that a lab may have without a file: a small one of both families, and
// the one of conf/demo.
var Likes = []string{"lab", "v-net-0"}

// ranges are those of Likes.
var ranges = map[string]string{
	"lab":     `[{"subnet": "10.60.0.0/24"}], [{"subnet": "fd60::/64"}]`,
	"v-net-0": `[{"subnet": "192.168.15.0/24", "rangeStart": "192.168.15.1", "gateway": "192.168.15.5"}]`,
}

// bridges are those of Likes.
var bridges = map[string]string{"lab": "lab0", "v-net-0": "v-net-0"}

const conflist = `{
  "cniVersion": "1.1.0",
  "name": %q,
  "plugins": [
    {
      "type": "bridge", "bridge": %q, "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "ranges": [%s]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}`

func like(name string) []byte {
	return fmt.Appendf(nil, conflist, name, bridges[name], ranges[name])
}

// network is a lab's network with what executes its plugins.
type network struct {
	file      string // where the lab keeps it
	list      *libcni.NetworkConfigList
	cni       *libcni.CNIConfig
	publishes bool
}

// network examines what is wished for. A lab that is up keeps the network that it has.
func (l Lab) network(w Network) (*network, error) {
	has, err := l.saved()
	if err == nil && w == (Network{}) || err != nil && !errors.Is(err, os.ErrNotExist) {
		return has, err
	}
	if w.Like == "" {
		w.Like = Likes[0]
	}
	text := like(w.Like)
	if w.File != "" {
		if text, err = os.ReadFile(w.File); err != nil {
			return nil, fmt.Errorf("lab: --conf: %w", err)
		}
	}
	if text, err = l.own(text); err != nil {
		return nil, fmt.Errorf("lab: %s: %w", w.File, err)
	}
	if has != nil && string(has.list.Bytes) != string(text) {
		return nil, fmt.Errorf("lab: lab %s has the network %s: choose another lab by --lab, or end this one by `bridgeport lab down --lab %s`", l.Name, has.list.Name, l.Name)
	}
	return l.parse(text)
}

// own is the configuration with leases that are the lab's own, whatever it says.
func (l Lab) own(text []byte) ([]byte, error) {
	var conf map[string]any
	if err := json.Unmarshal(text, &conf); err != nil {
		return nil, err
	}
	plugins, _ := conf["plugins"].([]any)
	for _, p := range plugins {
		plugin, _ := p.(map[string]any)
		if ipam, ok := plugin["ipam"].(map[string]any); ok && ipam["type"] == "host-local" {
			ipam["dataDir"] = l.leases()
		}
	}
	return json.MarshalIndent(conf, "", "  ")
}

// file is where the lab keeps its network.
func (l Lab) file() string { return filepath.Join(l.Dir, "net.d", "10-lab.conflist") }

// saved is the network that the lab has; an os.ErrNotExist without one.
func (l Lab) saved() (*network, error) {
	text, err := os.ReadFile(l.file())
	if err != nil {
		return nil, err
	}
	return l.parse(text)
}

func (l Lab) parse(text []byte) (*network, error) {
	list, err := libcni.NetworkConfFromBytes(text)
	if err != nil {
		return nil, fmt.Errorf("lab: the network: %w", err)
	}
	bin := []string{l.Bin}
	capabilities, err := libcni.NewCNIConfig(bin, nil).ValidateNetworkList(context.Background(), list) // also without the host
	if err != nil {
		return nil, fmt.Errorf("lab: network %s: %w: name the folder of its plugins by --bin-dir", list.Name, err)
	}
	cni := libcni.NewCNIConfigWithCacheDir(bin, l.cache(), &inside{host: l.Netns(host)})
	return &network{l.file(), list, cni, slices.Contains(capabilities, "portMappings")}, nil
}

func (w *network) save() error { return file.Replace(w.file, w.list.Bytes, 0o644) }

// inside runs plugins in the lab's host.
type inside struct {
	version.PluginDecoder
	invoke.RawExec
	host string
}

func (e *inside) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) (out []byte, err error) {
	ns, err := netns.Open(e.host)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	err = ns.Do(func() error {
		out, err = e.RawExec.ExecPlugin(ctx, path, stdin, environ)
		return err
	})
	return out, err
}
