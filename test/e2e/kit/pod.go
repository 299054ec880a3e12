package kit

import (
	"encoding/json"
	"errors"
	"strings"
	"time"
)

type object = map[string]any

// Port is a published port, as kubelet hands it to the runtime.
type Port struct {
	protocol        int // of the CRI: 0 TCP, 1 UDP
	host, container int
}

// TCP and UDP are ports of the host that lead to one of the pod.
func TCP(host, container int) Port { return Port{0, host, container} }
func UDP(host, container int) Port { return Port{1, host, container} }

// Pod is a sandbox with, where it serves, one container.
type Pod struct {
	Sandbox
	Name string
	node *Node
	id   string
}

// config is the pod's for the CRI.
func config(n *Node, name string, ports []Port) object {
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

// RunPod starts a pod without containers.
func (n *Node) RunPod(name string, ports ...Port) (*Pod, error) {
	text, err := json.Marshal(config(n, name, ports))
	if err != nil {
		return nil, err
	}
	file := "/var/lib/pods/" + name + ".json"
	if err := n.Write(file, string(text)); err != nil {
		return nil, err
	}
	p := &Pod{node: n, Name: name}
	if p.id, err = n.Crictl("runp", file); err != nil {
		return nil, err
	}
	p.Sandbox, err = n.Inspect(p.id)
	return p, err
}

// ServePod starts a pod with the server in a container, and waits until it answers.
func (n *Node) ServePod(name string, ports ...Port) (*Pod, error) {
	p, err := n.RunPod(name, ports...)
	if err != nil {
		return nil, err
	}
	text, err := json.Marshal(object{
		"metadata": object{"name": "server"}, "image": object{"image": PodImage},
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
	return p, Wait(10*time.Second, func() error {
		return errors.Join(p.Space.Seen("tcp", "127.0.0.1", "80", "127.0.0.1"), p.Space.Seen("udp", "127.0.0.1", "80", "127.0.0.1"))
	})
}

// Remove stops and removes the pod, as kubelet does.
func (p *Pod) Remove() error {
	_, err := p.node.Crictl("stopp", p.id)
	if err == nil {
		_, err = p.node.Crictl("rmp", p.id)
	}
	return errors.Join(err, p.Space.NS.Close())
}

// RemovePods removes whatever pods the runtime knows.
func (n *Node) RemovePods() error {
	ids, err := n.Pods()
	for _, id := range ids {
		_, rerr := n.Crictl("rmp", "-f", id)
		err = errors.Join(err, rerr)
	}
	return err
}

// Pods are the pods that the runtime knows.
func (n *Node) Pods() ([]string, error) {
	text, err := n.Crictl("pods", "-q", "--no-trunc")
	return strings.Fields(text), err
}
