package main

import (
	"fmt"
	"net/netip"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// machine is one of kind's nodes, a container of Docker.
type machine struct {
	*stage.Space
	host   *kit.Node
	name   string
	pid    string // of its process 1, in the host's numbers
	v4, v6 string
}

// open finds a node.
func (t *test) open(name string) (*machine, error) {
	out, err := t.run("docker", "inspect", "--format", "{{.State.Pid}}{{range .NetworkSettings.Networks}} {{.IPAddress}} {{.GlobalIPv6Address}}{{end}}", name)
	if err != nil {
		return nil, err
	}
	m := &machine{host: t.host, name: name}
	if n, err := fmt.Sscan(out, &m.pid, &m.v4, &m.v6); n != 3 {
		return nil, fmt.Errorf("%s: %s: %w", name, out, err)
	}
	for _, addr := range []string{m.v4, m.v6} {
		if _, err := netip.ParseAddr(addr); err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
	}
	m.Space, err = m.enter("/proc/1/ns/net")
	return m, err
}

// close lets go of the node's namespace, which could not end otherwise.
func (m *machine) close() { _ = m.Space.NS.Close() }

// root is the path by which the test reaches a file of the node.
func (m *machine) root(path string) string {
	return m.host.Root(filepath.Join("/proc", m.pid, "root", path))
}

// enter opens a network namespace by its path on the node.
func (m *machine) enter(path string) (*stage.Space, error) { return kit.Enter(m.name, path, m.root) }

// run runs a program on the node.
func (m *machine) run(argv ...string) (string, error) {
	return m.host.Run(append([]string{"docker", "exec", m.name}, argv...)...)
}

// sandbox finds a pod of the node.
func (m *machine) sandbox(pod string) (kit.Sandbox, error) {
	id, err := m.run("crictl", "pods", "--name", "^"+pod+"$", "--state", "ready", "-q", "--no-trunc")
	if err == nil && len(strings.Fields(id)) != 1 {
		err = fmt.Errorf("%s: pod %s: sandboxes %q", m.name, pod, id)
	}
	if err != nil {
		return kit.Sandbox{}, err
	}
	text, err := m.run("crictl", "inspectp", id)
	if err != nil {
		return kit.Sandbox{}, err
	}
	return kit.ReadSandbox(text, m.enter)
}

// routes are the destinations that the installer's routes lead to.
func (m *machine) routes() (string, error) {
	var all []string
	for _, family := range []string{"-4", "-6"} {
		out, err := m.run("ip", family, "route", "show", "proto", "98")
		if err != nil {
			return "", err
		}
		for line := range strings.Lines(out) {
			all = append(all, strings.Fields(line)[0])
		}
	}
	return strings.Join(all, " "), nil
}
