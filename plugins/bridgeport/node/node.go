// Package node reads a node as it is: links, addresses, routes, rules, leases, libcni's
// cache and the configuration files. It changes nothing. It belongs to the operator's
// command: what plugins read on their way is in pkg/plan and below.
package node

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"golang.org/x/sys/unix"
)

// Place is where a node keeps its files.
type Place struct {
	Data  string // leases of host-local
	Cache string // libcni's cache; its results are in "results" below
	Conf  string // network configurations
	Bin   string // plugins
}

// Default is where container runtimes look.
func Default() Place {
	return Place{Data: lease.DefaultDataDir, Cache: "/var/lib/cni", Conf: "/etc/cni/net.d", Bin: "/opt/cni/bin"}
}

// Node is one look at a node. Its parts are read one after another, so what changes
// meanwhile may be in one and not in the other: rules are read before links, since ADD
// makes links first and DEL removes rules first.
type Node struct {
	Place    Place
	Rules    []nft.Element // of our tables
	Links    []Link
	Routes   []Route
	Leases   []Lease
	Cached   []Cached
	Broken   []Broken  // files of the cache that are none of libcni's
	Networks []Network // of the configuration files, in the order of their names
	Spaces   []Space   // other network namespaces that could be found
	Kernel   kernel.Version
	NoRules  error // why Rules could not be read; nil if they could
}

// Lease is one lease file and where it is.
type Lease struct {
	lease.File
	Dir, Network string
}

// Read takes the look, in the thread's network namespace; ErrNotRoot for a process that would not see all of it.
func Read(p Place) (*Node, error) {
	n := &Node{Place: p, Kernel: kernel.Running()}
	err := Privileged()
	if err != nil {
		return nil, err
	}
	n.Rules, n.NoRules = elements()
	if n.Links, err = links(); err != nil {
		return nil, err
	}
	if n.Routes, err = routes(); err != nil {
		return nil, err
	}
	if n.Cached, n.Broken, err = cached(p.Cache, p.Conf, ""); err != nil {
		return nil, err
	}
	if n.Networks, err = Networks(p.Conf); err != nil {
		return nil, err
	}
	n.Spaces = spaces()
	n.Leases, err = n.leases()
	return n, err
}

func elements() ([]nft.Element, error) {
	c, err := nft.Open()
	if err != nil {
		return nil, err
	}
	defer c.Close() // nothing was deleted
	return c.Everything()
}

// Plugins are those of all lists: of the configuration files, then of attachments.
func (n *Node) Plugins() (list []Plugin) {
	for _, net := range n.Networks {
		list = append(list, net.Plugins...)
	}
	for _, c := range n.Cached {
		list = append(list, c.Plugins...)
	}
	return list
}

// DataDirs are the directories of leases: the given one, and those that configurations name.
func (n *Node) DataDirs() []string {
	dirs := []string{n.Place.Data}
	for _, p := range n.Plugins() {
		if p.DataDir != "" && !slices.Contains(dirs, p.DataDir) {
			dirs = append(dirs, p.DataDir)
		}
	}
	return dirs
}

// leases reads all of them.
func (n *Node) leases() ([]Lease, error) {
	var list []Lease
	for _, dir := range n.DataDirs() {
		networks, err := lease.Networks(dir)
		if err != nil {
			return nil, err
		}
		for _, network := range networks {
			files, err := lease.Files(dir, network)
			if err != nil {
				return nil, err
			}
			for _, f := range files {
				list = append(list, Lease{File: f, Dir: dir, Network: network})
			}
		}
	}
	return list, nil
}

// Path is the lease's file.
func (l Lease) Path() string { return lease.Path(l.Dir, l.Network, l.Addr) }

// Link finds a link by its name; nil without one.
func (n *Node) Link(name string) *Link {
	return find(n.Links, func(l *Link) bool { return l.Name == name })
}

// LinkAt finds a link by its index; nil without one.
func (n *Node) LinkAt(index int) *Link {
	return find(n.Links, func(l *Link) bool { return l.Index == index })
}

func find[T any](list []T, is func(*T) bool) *T {
	for i := range list {
		if is(&list[i]) {
			return &list[i]
		}
	}
	return nil
}

// Ports are the links plugged into a bridge.
func (n *Node) Ports(bridge *Link) (list []*Link) {
	for i := range n.Links {
		if n.Links[i].Master == bridge.Index {
			list = append(list, &n.Links[i])
		}
	}
	return list
}

// Uplinks are the links of default routes, each once.
func (n *Node) Uplinks() (list []*Link) {
	for _, r := range n.Routes {
		if l := n.LinkAt(r.Link); r.Dst.Bits() == 0 && l != nil && !slices.Contains(list, l) {
			list = append(list, l)
		}
	}
	return list
}

// Local says whether the address is one of the node's own.
func (n *Node) Local(a netip.Addr) bool {
	return a.IsLoopback() || slices.ContainsFunc(n.Links, func(l Link) bool { return l.Has(a) })
}

// Sysctl reads a setting of the thread's namespace, "net/ipv4/ip_forward"; "" where the kernel has no such setting.
func Sysctl(key string) string {
	data, _ := os.ReadFile("/proc/sys/" + key)
	return strings.TrimSpace(string(data))
}

// ErrNotRoot says that this process may not see what it is to look at. What an unprivileged
// process sees of rules, containers and leases looks as if there were none.
var ErrNotRoot = errors.New("run as root")

// Privileged is nil where the process may look at rules, into containers and into leases,
// else an ErrNotRoot. Root of a user namespace may look at what is in there.
func Privileged() error {
	header := unix.CapUserHeader{Version: unix.LINUX_CAPABILITY_VERSION_3}
	var sets [2]unix.CapUserData // capabilities 0 to 31, and the others
	if err := unix.Capget(&header, &sets[0]); err != nil {
		return fmt.Errorf("capabilities: %w", err)
	}
	have := func(bits uint32) bool { return sets[0].Effective&bits != 0 }
	switch {
	case !have(1 << unix.CAP_NET_ADMIN):
		return fmt.Errorf("%w: rules need CAP_NET_ADMIN", ErrNotRoot)
	case !have(1 << unix.CAP_SYS_ADMIN):
		return fmt.Errorf("%w: containers need CAP_SYS_ADMIN", ErrNotRoot)
	case !have(1<<unix.CAP_DAC_OVERRIDE | 1<<unix.CAP_DAC_READ_SEARCH):
		return fmt.Errorf("%w: leases need CAP_DAC_READ_SEARCH", ErrNotRoot)
	}
	return nil
}
