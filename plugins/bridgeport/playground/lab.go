// Package playground builds a host, the world outside and containers out of network namespaces.
package playground

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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

// Container is one of the lab.
type Container struct {
	Name  string   `json:"name"`
	Netns string   `json:"netns"`
	Addrs []string `json:"addresses"`
	Port  int      `json:"port"` // of the host; leads to port 80
}

// Up builds host and outside, unless they are there, and attaches the containers. Names are
// looked at before anything is made. After another error what was made stays: Down removes it.
func (l Lab) Up(names []string) ([]Container, error) {
	if err := check(names); err != nil {
		return nil, err
	}
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
		c := Container{Name: name, Netns: l.Netns(name), Port: 8080 + len(count) + i}
		ns, err := makeSpace(c.Netns)
		if err != nil {
			return out, err
		}
		_ = ns.Close() // its mount keeps it
		res, err := cni.AddNetworkList(context.Background(), list, l.call(name, c.Port))
		if err != nil {
			return out, fmt.Errorf("%s: %w", name, err)
		}
		r, err := current.NewResultFromResult(res)
		if err != nil {
			return out, err
		}
		for _, ip := range r.IPs {
			c.Addrs = append(c.Addrs, ip.Address.IP.String())
		}
		out = append(out, c)
	}
	return out, nil
}

func (l Lab) call(name string, port int) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: name, NetNS: l.Netns(name), IfName: "eth0"}
	if port > 0 {
		rt.CapabilityArgs = map[string]any{"portMappings": []map[string]any{{"hostPort": port, "containerPort": 80, "protocol": "tcp"}}}
	}
	return rt
}

// conflist is the lab's network, with the directory of leases.
const conflist = `{
  "cniVersion": "1.1.0",
  "name": "lab",
  "plugins": [
    {
      "type": "bridge", "bridge": "lab0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true,
      "ipam": {"type": "host-local", "dataDir": %q, "ranges": [[{"subnet": "10.60.0.0/24"}], [{"subnet": "fd60::/64"}]]}
    },
    {"type": "portmap", "capabilities": {"portMappings": true}}
  ]
}
`

func (l Lab) network() (*libcni.NetworkConfigList, *libcni.CNIConfig, error) {
	text := fmt.Appendf(nil, conflist, filepath.Join(l.Dir, "leases"))
	if err := file.Replace(filepath.Join(l.Dir, "net.d", "10-lab.conflist"), text, 0o644); err != nil {
		return nil, nil, err
	}
	list, err := libcni.NetworkConfFromBytes(text)
	return list, libcni.NewCNIConfigWithCacheDir([]string{l.Bin}, filepath.Join(l.Dir, "cache"), &inside{host: l.Host()}), err
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
func makeSpace(path string) (*netns.NS, error) {
	ns, err := netns.New(path)
	if errors.Is(err, os.ErrExist) {
		return netns.Open(path)
	}
	if err != nil {
		return nil, err
	}
	return ns, ns.Do(func() error { return address("lo") })
}

// ground makes the host and the outside, with a wire between them.
func (l Lab) ground() error {
	if _, err := os.Stat(l.Host()); err == nil {
		return nil
	}
	host, err := makeSpace(l.Host())
	if err != nil {
		return err
	}
	defer host.Close()
	out, err := makeSpace(filepath.Join(l.Run, outName))
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
		return netlink.RouteAdd(&netlink.Route{Gw: net.ParseIP(OutsideV4)})
	})
}

// address gives addresses to a link and brings it up.
func address(name string, list ...string) error {
	link, err := netlink.LinkByName(name)
	if err != nil {
		return fmt.Errorf("%s: %w", name, err)
	}
	for _, text := range list {
		addr, err := netlink.ParseAddr(text)
		if err != nil {
			return err
		}
		if addr.IP.To4() == nil {
			addr.Flags = unix.IFA_F_NODAD // nobody else is there
		}
		if err := netlink.AddrAdd(link, addr); err != nil {
			return fmt.Errorf("%s: add %s: %w", name, text, err)
		}
	}
	return netlink.LinkSetUp(link)
}

// Down detaches the containers and removes namespaces and files, if there are any.
func (l Lab) Down() error {
	var errs []error
	if _, err := os.Stat(l.Host()); err == nil {
		list, cni, err := l.network()
		if err != nil {
			return err
		}
		for _, name := range l.names() {
			errs = append(errs, cni.DelNetworkList(context.Background(), list, l.call(name, 0)))
		}
	}
	for _, name := range l.names() {
		errs = append(errs, netns.Remove(l.Netns(name)))
	}
	errs = append(errs, netns.Remove(filepath.Join(l.Run, outName)), netns.Remove(l.Host()), os.RemoveAll(l.Dir))
	return errors.Join(errs...)
}

func (l Lab) names() []string {
	found, _ := filepath.Glob(filepath.Join(l.Run, prefix+"*")) // the pattern is right
	var names []string
	for _, path := range found {
		if filepath.Base(path) != outName {
			names = append(names, filepath.Base(path)[len(prefix):])
		}
	}
	return names
}

// Shell runs a command, or a shell, in a container, in "host" or in "outside".
func (l Lab) Shell(name string, args []string) error {
	path := l.Netns(name)
	if name == "host" {
		path = l.Host()
	} else if err := check([]string{name}); err != nil && name != "outside" {
		return err
	}
	ns, err := netns.Open(path)
	if errors.Is(err, netns.ErrNotExist) {
		return fmt.Errorf("lab sh: there is no %s: `bridgeport lab up %s` makes it", name, name)
	}
	if err != nil {
		return err
	}
	defer ns.Close()
	if len(args) == 0 {
		args = []string{cmp.Or(os.Getenv("SHELL"), "/bin/sh")}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PS1="+name+" \\$ ", "BRIDGEPORT_LAB="+name)
	return ns.Do(cmd.Run)
}

// allowed is what a container may be called: a part of a file's name and of libcni's.
var allowed = regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9_.-]{0,99}$`)

// check says whether the containers may be called so. host and outside are the lab's own.
func check(names []string) error {
	for i, n := range names {
		switch {
		case !allowed.MatchString(n):
			return fmt.Errorf("lab: %q is no name for a container: letters and digits, and between them . _ -", n)
		case n == "host", n == "outside":
			return fmt.Errorf("lab: %s is the lab's own: choose another name", n)
		case slices.Contains(names[:i], n):
			return fmt.Errorf("lab: %s stands there twice", n)
		}
	}
	return nil
}
