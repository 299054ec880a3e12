// Package playground builds a network to play with out of namespaces: a host, the world
// outside, and containers. The machine's own network is not touched.
package playground

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netlink"
)

// Names of the namespaces, and addresses for documentation (RFC 5737, RFC 3849).
const (
	prefix   = "lab-"
	hostName = "lab"
	outName  = prefix + "outside"

	HostV4, OutsideV4 = "203.0.113.2", "203.0.113.9"
	hostV6, outsideV6 = "2001:db8:f::2", "2001:db8:f::9"
)

// Lab is where a lab keeps its files.
type Lab struct {
	Dir string // configuration, leases and cache are below
	Bin string // plugins
	Run string // where namespaces are mounted
}

// New is a lab in the usual place.
func New(bin string) Lab {
	return Lab{Dir: "/run/bridgeport-lab", Bin: bin, Run: "/run/netns"}
}

// Host is the namespace that plays the host.
func (l Lab) Host() string { return filepath.Join(l.Run, hostName) }

// Netns is the namespace of a container.
func (l Lab) Netns(name string) string { return filepath.Join(l.Run, prefix+name) }

// Flags are what makes the other sub-commands look at the lab.
func (l Lab) Flags() string {
	return fmt.Sprintf("--netns %s --data-dir %s --cache-dir %s --conf-dir %s --bin-dir %s",
		l.Host(), filepath.Join(l.Dir, "leases"), filepath.Join(l.Dir, "cache"), filepath.Join(l.Dir, "net.d"), l.Bin)
}

// Port is the port of the host that leads to port 80 of the container number i.
func Port(i int) int { return 8080 + i }

// Container is one of the lab.
type Container struct {
	Name  string   `json:"name"`
	Netns string   `json:"netns"`
	Addrs []string `json:"addresses"`
	Port  int      `json:"port"`
}

// Up builds host and outside, unless they are there, and attaches the containers. On
// error what was made stays: Down removes it.
func (l Lab) Up(names []string) ([]Container, error) {
	if err := l.ground(); err != nil {
		return nil, err
	}
	list, cni, err := l.network()
	if err != nil {
		return nil, err
	}
	count, err := os.ReadDir(filepath.Join(l.Dir, "cache", "results"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []Container
	for i, name := range names {
		c := Container{Name: name, Netns: l.Netns(name), Port: Port(len(count) + i)}
		if err := makeSpace(c.Netns); err != nil {
			return out, err
		}
		res, err := cni.AddNetworkList(context.Background(), list, l.call(name, c.Port))
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		c.Addrs, err = addresses(res)
		if err != nil {
			return out, err
		}
		out = append(out, c)
	}
	return out, nil
}

func addresses(res any) ([]string, error) {
	text, err := json.Marshal(res)
	if err != nil {
		return nil, err
	}
	var w struct {
		IPs []struct{ Address string }
	}
	err = json.Unmarshal(text, &w)
	var list []string
	for _, ip := range w.IPs {
		addr, _, _ := strings.Cut(ip.Address, "/")
		list = append(list, addr)
	}
	return list, err
}

func (l Lab) call(name string, port int) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: name, NetNS: l.Netns(name), IfName: "eth0"}
	if port > 0 {
		rt.CapabilityArgs = map[string]any{"portMappings": []map[string]any{{"hostPort": port, "containerPort": 80, "protocol": "tcp"}}}
	}
	return rt
}

// conflist is the lab's network.
func (l Lab) conflist() []byte {
	text, err := json.MarshalIndent(map[string]any{
		"cniVersion": "1.1.0", "name": "lab", "plugins": []map[string]any{
			{
				"type": "bridge", "bridge": "lab0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
				"ipam": map[string]any{
					"type": "host-local", "dataDir": filepath.Join(l.Dir, "leases"),
					"ranges": [][]map[string]string{{{"subnet": "10.60.0.0/24"}}, {{"subnet": "fd60::/64"}}},
				},
			},
			{"type": "portmap", "capabilities": map[string]bool{"portMappings": true}},
		},
	}, "", "  ")
	if err != nil {
		panic(err) // constants
	}
	return append(text, '\n')
}

func (l Lab) network() (*libcni.NetworkConfigList, *libcni.CNIConfig, error) {
	file := filepath.Join(l.Dir, "net.d", "10-lab.conflist")
	if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
		return nil, nil, err
	}
	if err := os.WriteFile(file, l.conflist(), 0o644); err != nil {
		return nil, nil, err
	}
	list, err := libcni.NetworkConfFromBytes(l.conflist())
	if err != nil {
		return nil, nil, err
	}
	cni := libcni.NewCNIConfigWithCacheDir([]string{l.Bin}, filepath.Join(l.Dir, "cache"), &inside{host: l.Host()})
	return list, cni, nil
}

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

// makeSpace makes a namespace with loopback up; one that is there already stays.
func makeSpace(path string) error {
	ns, err := netns.New(path)
	if errors.Is(err, os.ErrExist) {
		return nil
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	return ns.Do(func() error { return up("lo") })
}

func up(name string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	return netlink.LinkSetUp(link)
}

// ground makes the host and the outside, with a wire between them.
func (l Lab) ground() error {
	if _, err := os.Stat(l.Host()); err == nil {
		return nil
	}
	outside := filepath.Join(l.Run, outName)
	if err := errors.Join(makeSpace(l.Host()), makeSpace(outside)); err != nil {
		return err
	}
	host, err := netns.Open(l.Host())
	if err != nil {
		return err
	}
	defer host.Close()
	out, err := netns.Open(outside)
	if err != nil {
		return err
	}
	defer out.Close()
	err = host.Do(func() error {
		return netlink.LinkAdd(&netlink.Veth{
			LinkAttrs: netlink.LinkAttrs{Name: "uplink"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(out.Fd()),
		})
	})
	if err != nil {
		return fmt.Errorf("uplink: %w", err)
	}
	if err := out.Do(func() error { return address("eth0", OutsideV4+"/24", outsideV6+"/64") }); err != nil {
		return err
	}
	return host.Do(func() error {
		if err := address("uplink", HostV4+"/24", hostV6+"/64"); err != nil {
			return err
		}
		return defaultRoute(OutsideV4)
	})
}
