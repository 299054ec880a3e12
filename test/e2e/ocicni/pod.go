package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"reflect"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

const socket = "/run/crio-cni.sock"

// pod is a network namespace on the node, and ocicni.PodNetwork in JSON.
type pod struct {
	Name, Namespace, ID, UID, NetNS string
	Networks                        []attachment
	RuntimeConfig                   map[string]object

	space *stage.Space
	addrs []string // without lengths, in the order of the results
	node  *kit.Node
}

type attachment struct{ Name, Ifname string }

// answer is the daemon's.
type answer struct {
	Error   string
	Default string
	Results []struct {
		Name, Ifname string
		Result       struct {
			IPs []struct{ Address netip.Prefix }
		}
	}
}

// start starts the daemon.
func (t *test) start() (err error) {
	if t.crio, err = t.node.Start("crio", kit.Cache("bin/ocicni/crio"), socket); err != nil {
		return err
	}
	return kit.Wait(10*time.Second, func() error {
		conn, err := net.Dial("unix", t.node.Root(socket))
		if err != nil {
			return errors.Join(err, t.crio.Alive())
		}
		return conn.Close()
	})
}

// call asks the daemon for one call of ocicni.
func (t *test) call(verb string, p *pod, valid ...*pod) (a answer, err error) {
	conn, err := net.Dial("unix", t.node.Root(socket))
	if err != nil {
		return a, err
	}
	defer conn.Close()
	if err := conn.SetDeadline(time.Now().Add(time.Minute)); err != nil {
		return a, err
	}
	if err := json.NewEncoder(conn).Encode(object{"Verb": verb, "Pod": p, "Valid": valid}); err != nil {
		return a, err
	}
	if err := json.NewDecoder(conn).Decode(&a); err != nil {
		return a, fmt.Errorf("%s: %w", verb, err)
	}
	if a.Error != "" {
		err = fmt.Errorf("%s: %s", verb, a.Error)
	}
	return a, err
}

// on attaches a pod to a network by name, mapping sends it ports. Without any, a pod gets
// the default network.
func on(network string) func(*pod) {
	return func(p *pod) { p.Networks = append(p.Networks, attachment{Name: network}) }
}

func mapping(network string, ports ...object) func(*pod) {
	return func(p *pod) { p.RuntimeConfig[network]["PortMappings"] = ports }
}

func tcp(host, container int) object {
	return object{"hostPort": host, "containerPort": container, "protocol": "tcp"}
}

func udp(host, container int) object {
	return object{"hostPort": host, "containerPort": container, "protocol": "udp"}
}

func at(ip string, port object) object {
	port["hostIP"] = ip
	return port
}

// newPod makes a pod's namespace.
func (t *test) newPod(name string, options ...func(*pod)) (*pod, error) {
	p := &pod{
		Name: name, Namespace: "e2e", UID: "uid-" + name, NetNS: "/run/netns/" + name, node: t.node,
		ID: fmt.Sprintf("%064x", name), RuntimeConfig: map[string]object{},
	}
	for _, network := range []string{"bridgeport", "ports", "second"} {
		// CRI-O sends both with each call; our lists declare neither.
		p.RuntimeConfig[network] = object{"CgroupPath": "/kubepods/" + name, "io.kubernetes.cri.pod-annotations": object{"a": "b"}}
	}
	for _, option := range options {
		option(p)
	}
	if err := t.node.Write(p.NetNS, ""); err != nil {
		return nil, err
	}
	if _, err := t.node.Run("unshare", "--net="+p.NetNS, "true"); err != nil {
		return nil, err
	}
	var err error
	p.space, err = t.node.Enter(p.NetNS)
	return p, err
}

// lose removes the namespace, as CRI-O does even while somebody looks into it; the
// attachments' records stay.
func (p *pod) lose() error {
	err := p.space.NS.Close()
	if _, uerr := p.node.Run("umount", "-l", p.NetNS); uerr != nil {
		err = errors.Join(err, uerr)
	}
	return errors.Join(err, os.Remove(p.node.Root(p.NetNS)))
}

// end is lose for a pod that is torn down, or was never made.
func (p *pod) end() error {
	if p == nil {
		return nil
	}
	return p.lose()
}

// setUp is what CRI-O does for a new pod: ADD, then CHECK; DEL if either fails.
func (t *test) setUp(p *pod) error {
	made, err := t.call("setup", p)
	if err == nil {
		var status answer
		status, err = t.call("status", p)
		if err == nil && !reflect.DeepEqual(made, status) {
			err = fmt.Errorf("ADD said %v, CHECK found %v", made, status)
		}
	}
	if err != nil {
		_, derr := t.call("teardown", p)
		return errors.Join(err, derr)
	}
	p.addrs = nil
	for _, r := range made.Results {
		for _, ip := range r.Result.IPs {
			p.addrs = append(p.addrs, ip.Address.Addr().String())
		}
	}
	return nil
}

// serving sets up a pod with servers on port 80, TCP and UDP, of both families. They end
// with its namespace.
func (t *test) serving(name string, options ...func(*pod)) (*pod, error) {
	p, err := t.newPod(name, options...)
	if err == nil {
		err = t.setUp(p)
	}
	if err != nil {
		return nil, errors.Join(err, p.end())
	}
	for _, network := range []string{"tcp", "udp"} {
		for _, addr := range []string{"0.0.0.0:80", "[::]:80"} {
			_, serr := p.space.Serve(network, addr)
			err = errors.Join(err, serr)
		}
	}
	return p, err
}

func (t *test) status(pods ...*pod) (err error) {
	for _, p := range pods {
		_, serr := t.call("status", p)
		err = errors.Join(err, serr)
	}
	return err
}

// tearDown is DEL on all networks of the pod.
func (t *test) tearDown(pods ...*pod) (err error) {
	for _, p := range pods {
		_, derr := t.call("teardown", p)
		err = errors.Join(err, derr)
	}
	return err
}

// remove is the end of pods, as CRI-O does it: DEL, then the namespace.
func (t *test) remove(pods ...*pod) error {
	err := t.tearDown(pods...)
	for _, p := range pods {
		err = errors.Join(err, p.end())
	}
	return err
}

// forgetResult removes libcni's record of an attachment.
func (t *test) forgetResult(p *pod, network string) error {
	return unix.Unlink(t.node.Root("/var/lib/cni/results/" + network + "-" + p.ID + "-eth0"))
}
