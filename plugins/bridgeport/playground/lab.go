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
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/containernetworking/cni/libcni"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Addresses for documentation (RFC 5737, RFC 3849).
const (
	HostV4, OutsideV4 = "203.0.113.2", "203.0.113.9"
	hostV6, outsideV6 = "2001:db8:f::2", "2001:db8:f::9"
)

// The namespaces of each lab that are no containers.
const (
	host    = "host"
	outside = "outside"
)

// Default is the name of the lab that no name is given to.
const Default = "default"

// root is where labs keep their files, one folder each.
const root = "/run/bridgeport-lab"

// Lab is where a lab keeps its files.
type Lab struct {
	Name string
	Dir  string // configuration, leases and cache are below
	Bin  string // plugins
	Run  string // where namespaces are mounted
}

// New is a lab in the usual place.
func New(name, bin string) (Lab, error) {
	name = cmp.Or(name, Default)
	if len(name) > 32 || strings.ContainsFunc(name, beside("")) { // what is behind a hyphen in a namespace's name is the container
		return Lab{}, fmt.Errorf("lab: %q is no name for a lab: choose letters and digits", name)
	}
	return Lab{Name: name, Dir: filepath.Join(root, name), Bin: bin, Run: "/run/netns"}, nil
}

// Labs are the names of those that are up.
func Labs() (names []string) {
	list, _ := os.ReadDir(root) // none without the folder
	for _, e := range list {
		names = append(names, e.Name())
	}
	return names
}

// Netns is the namespace of a container, of "host" or of "outside".
func (l Lab) Netns(name string) string { return filepath.Join(l.Run, "lab-"+l.Name+"-"+name) }

// Flags are what makes the other sub-commands look at the lab.
func (l Lab) Flags() map[string]string {
	return map[string]string{
		"netns": l.Netns(host), "data-dir": l.leases(), "cache-dir": l.cache(), "conf-dir": filepath.Dir(l.file()), "bin-dir": l.Bin,
	}
}

func (l Lab) leases() string { return filepath.Join(l.Dir, "leases") }
func (l Lab) cache() string  { return filepath.Join(l.Dir, "cache") }

// IsUp says whether the lab has been built.
func (l Lab) IsUp() bool {
	_, err := os.Stat(l.Netns(host))
	return err == nil
}

// Container is one of the lab.
type Container struct {
	Name  string   `json:"name"`
	Netns string   `json:"netns"`
	Addrs []string `json:"addresses"`
	Port  int      `json:"port,omitempty"` // of the host; leads to port 80; 0 where the network publishes none
	URL   string   `json:"url,omitempty"`  // a page of the container: from outside, or from the host without a port
}

// Up builds host and outside, unless they are there, attaches the containers and starts a web
// server in each. Names and network are examined before anything is made. After another error
// what was made stays: Down removes it.
func (l Lab) Up(names []string, w Network) ([]Container, error) {
	if err := l.check(names); err != nil {
		return nil, err
	}
	net, err := l.network(w)
	if err != nil {
		return nil, err
	}
	if err := errors.Join(l.ground(), net.save()); err != nil {
		return nil, err
	}
	count, err := os.ReadDir(filepath.Join(l.cache(), "results"))
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		return nil, err
	}
	var out []Container
	for i, name := range names {
		c := Container{Name: name, Netns: l.Netns(name)}
		if net.publishes {
			c.Port = 8080 + len(count) + i
		}
		if err := l.start(&c, net); err != nil {
			return out, fmt.Errorf("lab: %s: %w", name, err)
		}
		out = append(out, c)
	}
	return out, nil
}

// start makes a container's namespace, attaches it and starts its web server.
func (l Lab) start(c *Container, w *network) error {
	ns, err := makeSpace(c.Netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	res, err := w.cni.AddNetworkList(context.Background(), w.list, l.call(c.Name, c.Port))
	if err != nil {
		return err
	}
	r, err := current.NewResultFromResult(res)
	if err != nil {
		return err
	}
	for _, ip := range r.IPs {
		c.Addrs = append(c.Addrs, ip.Address.IP.String())
	}
	switch {
	case c.Port > 0:
		c.URL = fmt.Sprintf("http://%s:%d", HostV4, c.Port)
	case len(r.IPs) > 0:
		c.URL = "http://" + net.JoinHostPort(c.Addrs[0], "80")
	}
	return serve(ns, c)
}

func (l Lab) call(name string, port int) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: name, NetNS: l.Netns(name), IfName: "eth0"}
	if port > 0 {
		rt.CapabilityArgs = map[string]any{"portMappings": []map[string]any{{"hostPort": port, "containerPort": 80, "protocol": "tcp"}}}
	}
	return rt
}

// Down ends the web servers, detaches the containers and removes namespaces and files, if there are any.
func (l Lab) Down() error {
	names := l.Names()
	var errs []error
	for _, name := range names {
		errs = append(errs, stop(l.Netns(name)))
	}
	if w, err := l.saved(); err == nil && l.IsUp() {
		for _, name := range names {
			errs = append(errs, w.cni.DelNetworkList(context.Background(), w.list, l.call(name, 0)))
		}
	} else if !errors.Is(err, os.ErrNotExist) {
		errs = append(errs, err)
	}
	for _, name := range append(names, outside, host) {
		errs = append(errs, netns.Remove(l.Netns(name)))
	}
	errs = append(errs, os.RemoveAll(l.Dir))
	_ = os.Remove(filepath.Dir(l.Dir)) // it stays while there are other labs
	return errors.Join(errs...)
}

// Names are the lab's containers.
func (l Lab) Names() (names []string) {
	begin := l.Netns("")
	found, _ := filepath.Glob(begin + "*") // the pattern is right
	for _, path := range found {
		if name := path[len(begin):]; name != host && name != outside {
			names = append(names, name)
		}
	}
	return names
}

// open opens the namespace of a container, of "host" or of "outside".
func (l Lab) open(name string) (*netns.NS, error) {
	if err := allow(name); err != nil {
		return nil, err
	}
	ns, err := netns.Open(l.Netns(name))
	if errors.Is(err, netns.ErrNotExist) {
		return nil, fmt.Errorf("lab: there is no %s in lab %s: `bridgeport lab up --lab %s` makes it", name, l.Name, l.Name)
	}
	return ns, err
}

// Shell runs a command, or a shell, in a container, in "host" or in "outside".
func (l Lab) Shell(name string, args []string) error {
	ns, err := l.open(name)
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
	return ns.Do(func() error { return netns.Stay(cmd.Run) })
}

// beside takes what is no letter, no digit and none of more.
func beside(more string) func(rune) bool {
	return func(r rune) bool {
		return (r < 'a' || r > 'z') && (r < 'A' || r > 'Z') && (r < '0' || r > '9') && !strings.ContainsRune(more, r)
	}
}

// allow says whether a container may be called so: it is a part of a file's name and of libcni's.
func allow(name string) error {
	if name == "" || len(name) > 100 || strings.Contains("_.-", name[:1]) || strings.ContainsFunc(name, beside("_.-")) {
		return fmt.Errorf("lab: %q is no name for a container: letters and digits, and between them . _ -", name)
	}
	return nil
}

// check says whether the containers may be called so. host and outside are the lab's own.
func (l Lab) check(names []string) error {
	for i, n := range names {
		_, err := os.Stat(l.Netns(n))
		switch {
		case allow(n) != nil:
			return allow(n)
		case n == host, n == outside:
			return fmt.Errorf("lab: %s is the lab's own: choose another name", n)
		case slices.Contains(names[:i], n):
			return fmt.Errorf("lab: %s stands there twice", n)
		case err == nil:
			return fmt.Errorf("lab: %s is in lab %s already: choose another name", n, l.Name)
		}
	}
	return nil
}
