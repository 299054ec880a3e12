package main

import (
	"errors"
	"fmt"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// manifest has three pods, one of which publishes ports of its node, and that one's Services.
var manifest = pod("web", "kind-worker", "labels: {app: web}", "ports: [{containerPort: 80, hostPort: 8080}, {containerPort: 80, hostPort: 8080, protocol: UDP}]") +
	pod("near", "kind-worker", "", "") + pod("far", "kind-control-plane", "", "") + `
apiVersion: v1
kind: Service
metadata: {name: web}
spec:
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{name: tcp, port: 80}, {name: udp, port: 80, protocol: UDP}, {name: name, port: 81}]
---
apiVersion: v1
kind: Service
metadata: {name: door}
spec:
  type: NodePort
  ipFamilyPolicy: RequireDualStack
  selector: {app: web}
  ports: [{name: tcp, port: 80, nodePort: 30080}, {name: udp, port: 80, protocol: UDP, nodePort: 30080}]
`

func pod(name, node, metadata, container string) string {
	if metadata != "" {
		metadata = ", " + metadata
	}
	if container != "" {
		container = ", " + container
	}
	return fmt.Sprintf(`apiVersion: v1
kind: Pod
metadata: {name: %s%s}
spec:
  nodeName: %s
  terminationGracePeriodSeconds: 1
  tolerations: [{operator: Exists}]
  containers: [{name: server, image: %q, imagePullPolicy: Never%s}]
---
`, name, metadata, node, kit.PodImage, container)
}

// startPods applies the manifest and waits for its pods, and for CoreDNS, which had no network.
func (t *test) startPods() error {
	// Pods are refused before the namespace has its service account.
	err := kit.Wait(30*time.Second, func() error {
		_, err := t.kubectl("get", "serviceaccount", "default")
		return err
	})
	if err == nil {
		err = t.host.Write("/run/tmp/pods.yaml", manifest)
	}
	if err == nil {
		_, err = t.kubectl("apply", "-f", "/run/tmp/pods.yaml")
	}
	if err != nil {
		return err
	}
	return t.podsReady()
}

func (t *test) podsReady() error {
	if _, err := t.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/near", "pod/far", "--timeout=120s"); err != nil {
		return err
	}
	_, err := t.kubectl("-n", "kube-system", "rollout", "status", "deployment/coredns", "--timeout=120s")
	return err
}

// cast is the pods and the Services' addresses, of one family.
type cast struct {
	web, near, far kit.Sandbox
	service        []string // by family
}

// assemble finds the pods.
func (t *test) assemble() (c *cast, err error) {
	c = &cast{}
	if c.web, err = t.worker.sandbox("web"); err != nil {
		return c, err
	}
	if c.near, err = t.worker.sandbox("near"); err != nil {
		return c, err
	}
	if c.far, err = t.control.sandbox("far"); err != nil {
		return c, err
	}
	for i := range 2 {
		addr, err := t.kubectl("get", "service", "web", "-o", fmt.Sprintf("jsonpath={.spec.clusterIPs[%d]}", i))
		if err != nil {
			return c, err
		}
		c.service = append(c.service, addr)
	}
	for _, s := range []kit.Sandbox{c.web, c.near, c.far} {
		if len(s.Addrs) != 2 || !s.Addrs[0].Is4() || !s.Addrs[1].Is6() {
			err = errors.Join(err, fmt.Errorf("a pod's addresses: %v", s.Addrs))
		}
	}
	return c, err
}

// leave lets go of the pods' namespaces, which could not end otherwise.
func (c *cast) leave() {
	for _, s := range []kit.Sandbox{c.web, c.near, c.far} {
		if s.Space != nil {
			_ = s.Space.NS.Close()
		}
	}
}
