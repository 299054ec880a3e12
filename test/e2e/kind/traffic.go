package main

import (
	"errors"
	"fmt"
	"net"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// patience is far above what an answer takes.
const patience = 3 * time.Second

// family is what traffic needs of one: the addresses of pods, Service, nodes and host.
type family struct {
	*cast
	t                      *test
	name                   string
	webA, nearA, farA, svc string
	workerA, controlA      string
	host, client, port     string
}

// both are the two families.
func (t *test) both(c *cast) []*family {
	families := []*family{
		{name: "IPv4", workerA: t.worker.v4, controlA: t.control.v4, host: hostV4, client: clientV4, port: "18080"},
		{name: "IPv6", workerA: t.worker.v6, controlA: t.control.v6, host: hostV6, client: clientV6, port: "18081"},
	}
	for i, f := range families {
		f.t, f.cast, f.svc = t, c, c.service[i]
		f.webA, f.nearA, f.farA = c.web.Addrs[i].String(), c.near.Addrs[i].String(), c.far.Addrs[i].String()
	}
	return families
}

// eventually is for what kube-proxy has to learn first.
func eventually(fn func() error) error { return kit.Wait(30*time.Second, fn) }

// seen asks by TCP and by UDP, and wants to be seen as one of the addresses.
func seen(from *stage.Space, addr, port string, as ...string) error {
	return errors.Join(from.Seen("tcp", addr, port, as...), from.Seen("udp", addr, port, as...))
}

// answered asks by TCP and by UDP, and does not mind what it is seen as.
func answered(from *stage.Space, addr, port string) error {
	_, terr := from.Ask("tcp", net.JoinHostPort(addr, port), patience)
	_, uerr := from.Ask("udp", net.JoinHostPort(addr, port), patience)
	return errors.Join(terr, uerr)
}

// traffic shows what pods, nodes, the Docker host and a machine beside it can do with each other.
func (t *test) traffic() {
	var c *cast
	defer func() { c.leave() }()
	if !t.Check("pods have addresses of both families", func() (_ string, err error) {
		c, err = t.assemble()
		return fmt.Sprint(c.web.Addrs, c.near.Addrs, c.far.Addrs), err
	}) {
		return
	}
	for _, f := range t.both(c) {
		f.pods()
		f.services()
		f.hostPorts()
		f.out()
	}
	t.names()
	t.doctor()
}

func (f *family) do(what string, fn func() error) { f.t.Do(f.name+": "+what, fn) }

func (f *family) pods() {
	f.do("pod to pod on a node and across nodes, source address kept", func() error {
		return errors.Join(seen(f.near.Space, f.webA, "80", f.nearA), seen(f.far.Space, f.webA, "80", f.farA), seen(f.near.Space, f.farA, "80", f.nearA))
	})
	f.do("nodes reach pods, their own and the other node's", func() error {
		return errors.Join(answered(f.t.worker.Space, f.webA, "80"), answered(f.t.control.Space, f.webA, "80"))
	})
}

func (f *family) services() {
	f.do("a Service, from pods of both nodes, from its own pod, from both nodes", func() error {
		for _, from := range []*stage.Space{f.near.Space, f.far.Space, f.web.Space, f.t.worker.Space, f.t.control.Space} {
			if err := eventually(func() error { return answered(from, f.svc, "80") }); err != nil {
				return err
			}
		}
		return nil
	})
	f.do("a NodePort on both nodes, from the Docker host, from pods of both", func() error {
		for _, from := range []*stage.Space{f.t.host.Space, f.near.Space, f.far.Space} {
			for _, node := range []string{f.workerA, f.controlA} {
				if err := eventually(func() error { return answered(from, node, "30080") }); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

func (f *family) hostPorts() {
	f.do("a hostPort, from the Docker host and the other node, source address kept", func() error {
		gateway, err := f.gateway()
		if err != nil {
			return err
		}
		return errors.Join(seen(f.t.host.Space, f.workerA, "8080", gateway), seen(f.t.control.Space, f.workerA, "8080", f.controlA))
	})
	f.do("the hostPort, from pods of both nodes, from its own pod, from its node", func() error {
		return errors.Join(answered(f.far.Space, f.workerA, "8080"), answered(f.near.Space, f.workerA, "8080"),
			answered(f.web.Space, f.workerA, "8080"), answered(f.t.worker.Space, f.workerA, "8080"))
	})
	f.t.Check(f.name+": the hostPort through extraPortMappings, from another machine, TCP and UDP", func() (string, error) {
		tcp, terr := f.t.client.Ask("tcp", net.JoinHostPort(f.host, f.port), patience)
		udp, uerr := f.t.client.Ask("udp", net.JoinHostPort(f.host, f.port), patience)
		return "seen as " + tcp + " and " + udp, errors.Join(terr, uerr)
	})
	if f.name == "IPv4" {
		f.do("the hostPort on its node's 127.0.0.1", func() error { return answered(f.t.worker.Space, "127.0.0.1", "8080") })
	}
}

// gateway is the Docker host's address on kind's network.
func (f *family) gateway() (string, error) {
	out, err := f.t.worker.run("ip", "-"+f.name[3:], "route", "show", "default")
	words := strings.Fields(out)
	if err == nil && (len(words) < 3 || words[1] != "via") {
		err = errors.New("the worker has no way out by " + f.name + ": " + out)
	}
	if err != nil {
		return "", err
	}
	return words[2], nil
}

// out shows the way out of the cluster.
func (f *family) out() {
	f.do("pods leave the cluster with their node's address", func() error {
		gateway, err := f.gateway()
		if err != nil {
			return err
		}
		server, err := f.t.host.Serve("tcp", net.JoinHostPort(gateway, "7000"))
		if err != nil {
			return err
		}
		return errors.Join(f.near.Space.Seen("tcp", gateway, "7000", f.workerA), f.far.Space.Seen("tcp", gateway, "7000", f.controlA), server.Close())
	})
	if f.name != "IPv4" { // Docker routes IPv6 out and translates nothing
		return
	}
	f.do("pods reach another machine, with the Docker host's address", func() error {
		server, err := f.t.client.Serve("tcp", net.JoinHostPort(f.client, "7000"))
		if err != nil {
			return err
		}
		return errors.Join(f.near.Space.Seen("tcp", f.client, "7000", f.host), f.far.Space.Seen("tcp", f.client, "7000", f.host), server.Close())
	})
}

// names asks from within pods, by kubectl exec, so that they resolve.
func (t *test) names() {
	t.Do("DNS: a Service by its short name and its full one, from pods of both nodes", func() error {
		for _, pod := range []string{"near", "far"} {
			for _, name := range []string{"web", "web.default.svc.cluster.local"} {
				err := eventually(func() error {
					out, err := t.kubectl("exec", pod, "--", "/pod", "ask", "tcp", name+":81")
					if err == nil && !strings.Contains(out, "web") {
						err = errors.New(out)
					}
					return err
				})
				if err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// doctor asks the command that the DaemonSet has brought.
func (t *test) doctor() {
	for _, m := range []*machine{t.control, t.worker} {
		t.Check("bridgeport doctor on "+m.name+": all is well", func() (string, error) {
			out, err := m.run("/opt/cni/bin/bridgeport", "doctor")
			if err == nil && !strings.Contains(out, "all is well") {
				err = errors.New(out)
			}
			lines := strings.Split(out, "\n")
			return lines[len(lines)-1], err
		})
	}
}
