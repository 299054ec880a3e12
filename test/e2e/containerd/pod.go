package main

import (
	"encoding/json"
	"errors"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

type object = map[string]any

// port is a published port, as kubelet hands it to the runtime.
type port struct {
	protocol        int // of the CRI: 0 TCP, 1 UDP
	host, container int
}

// pod is a sandbox with, where it serves, one container.
type pod struct {
	kit.Sandbox
	node     *kit.Node
	name, id string
}

// config is the pod's for the CRI.
func config(n *kit.Node, name string, ports []port) object {
	mappings := []object{}
	for _, p := range ports {
		mappings = append(mappings, object{"protocol": p.protocol, "container_port": p.container, "host_port": p.host})
	}
	return object{
		"metadata":      object{"name": name, "namespace": "e2e", "uid": name, "attempt": 0},
		"log_directory": "/var/log/pods/" + name,
		"port_mappings": mappings,
		"linux":         object{"cgroup_parent": n.Cgroup()},
	}
}

// sandbox starts a pod without containers.
func sandbox(n *kit.Node, name string, ports ...port) (*pod, error) {
	text, err := json.Marshal(config(n, name, ports))
	if err != nil {
		return nil, err
	}
	file := "/var/lib/pods/" + name + ".json"
	if err := n.Write(file, string(text)); err != nil {
		return nil, err
	}
	p := &pod{node: n, name: name}
	if p.id, err = n.Crictl("runp", file); err != nil {
		return nil, err
	}
	p.Sandbox, err = n.Inspect(p.id)
	return p, err
}

// serving starts a pod with the server in a container, and waits until it answers.
func serving(n *kit.Node, name string, ports ...port) (*pod, error) {
	p, err := sandbox(n, name, ports...)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(object{
		"metadata": object{"name": "server"}, "image": object{"image": kit.PodImage},
		"command": []string{"/pod", "serve"}, "log_path": "server.log", "linux": object{},
	})
	if err != nil {
		return nil, err
	}
	file := "/var/lib/pods/" + name + "-server.json"
	if err := n.Write(file, string(text)); err != nil {
		return nil, err
	}
	id, err := n.Crictl("create", "--no-pull", p.id, file, "/var/lib/pods/"+name+".json")
	if err != nil {
		return nil, err
	}
	if _, err = n.Crictl("start", id); err != nil {
		return nil, err
	}
	return p, kit.Wait(10*time.Second, func() error {
		return errors.Join(seen(p.Space, "tcp", "127.0.0.1", 80, "127.0.0.1"), seen(p.Space, "udp", "127.0.0.1", 80, "127.0.0.1"))
	})
}

// remove stops and removes the pod, as kubelet does.
func (p *pod) remove() error {
	_, err := p.node.Crictl("stopp", p.id)
	if err == nil {
		_, err = p.node.Crictl("rmp", p.id)
	}
	return errors.Join(err, p.Space.Close())
}

// removeAll removes whatever pods the runtime knows.
func removeAll(n *kit.Node) error {
	ids, err := known(n)
	for _, id := range ids {
		_, rerr := n.Crictl("rmp", "-f", id)
		err = errors.Join(err, rerr)
	}
	return err
}

// known are the pods that the runtime knows.
func known(n *kit.Node) ([]string, error) {
	text, err := n.Crictl("pods", "-q", "--no-trunc")
	return strings.Fields(text), err
}
