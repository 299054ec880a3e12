package playground

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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

func defaultRoute(via string) error {
	_, all, err := net.ParseCIDR("0.0.0.0/0")
	if err != nil {
		return err
	}
	return netlink.RouteAdd(&netlink.Route{Dst: all, Gw: net.ParseIP(via)})
}

// Down detaches the containers and removes the namespaces and files. Without a lab it
// does nothing.
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

// names are the lab's containers.
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
		shell := os.Getenv("SHELL")
		if shell == "" {
			shell = "/bin/sh"
		}
		args = []string{shell}
	}
	cmd := exec.Command(args[0], args[1:]...)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = os.Stdin, os.Stdout, os.Stderr
	cmd.Env = append(os.Environ(), "PS1="+name+" \\$ ", "BRIDGEPORT_LAB="+name)
	return ns.Do(cmd.Run)
}
