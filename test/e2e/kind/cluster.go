package main

import (
	"errors"
	"fmt"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

const kubeconfig = "/run/tmp/kubeconfig"

// create makes the cluster. kind must not wait: the nodes have no network yet.
func (t *test) create() (string, error) {
	config, err := clusterConfig()
	if err != nil {
		return "", err
	}
	if err := t.host.Write("/run/tmp/cluster.yaml", config); err != nil {
		return "", err
	}
	if _, err := t.run("kind", "create", "cluster", "--config", "/run/tmp/cluster.yaml", "--image", nodeTag, "--kubeconfig", kubeconfig, "--retain"); err != nil {
		return "", shortened(err)
	}
	if t.control, err = t.open("kind-control-plane"); err != nil {
		return "", err
	}
	if t.worker, err = t.open("kind-worker"); err != nil {
		return "", err
	}
	return t.run("kind", "version")
}

// shortened is an error without the middle of what kubeadm says in hundreds of lines.
func shortened(err error) error {
	const head, tail = 12, 30
	lines := strings.Split(err.Error(), "\n")
	if len(lines) <= head+tail {
		return err
	}
	return errors.New(strings.Join(append(append(lines[:head:head], "..."), lines[len(lines)-tail:]...), "\n"))
}

// notReady shows that kind brought no network of its own.
func (t *test) notReady() error {
	out, err := t.kubectl("get", "nodes", "-o", `jsonpath={.items[*].status.conditions[?(@.type=="Ready")].status}`)
	if err == nil && out != "False False" {
		err = errors.New("nodes are ready: " + out)
	}
	return err
}

// loadArchives gives the nodes the image of `make installer-image`, and the server.
func (t *test) loadArchives() (string, error) {
	const server = "/var/lib/pod-image.tar"
	if err := kit.ServerImage().Write(t.host.Root(server)); err != nil {
		return "", err
	}
	installer := kit.Repo("bin/installer-image.tar")
	info, err := os.Stat(installer)
	if err != nil {
		return "", fmt.Errorf("%w: run `make installer-image`", err)
	}
	for _, file := range []string{installer, server} {
		if _, err := t.run("kind", "load", "image-archive", file); err != nil {
			return "", err
		}
	}
	return fmt.Sprintf("%d MB", info.Size()>>20), nil
}

// apply brings Bridgeport by its manifest.
func (t *test) apply() error {
	if _, err := t.kubectl("apply", "-f", kit.Repo("conf/kubernetes/bridgeport.yaml")); err != nil {
		return err
	}
	if _, err := t.kubectl("wait", "--for=condition=Ready", "node", "--all", "--timeout=90s"); err != nil {
		return err
	}
	_, err := t.kubectl("-n", "kube-system", "rollout", "status", "daemonset/bridgeport", "--timeout=60s")
	return err
}

// ours shows that the plugins of kind's image are replaced, and which they are.
func (t *test) ours() (string, error) {
	var said string
	for _, m := range []*machine{t.control, t.worker} {
		for _, name := range []string{"bridge", "portmap", "host-local", "loopback"} {
			var err error
			if said, err = m.run("/opt/cni/bin/"+name, "--version"); err == nil && !strings.HasPrefix(said, "bridgeport ") {
				err = errors.New(said)
			}
			if err != nil {
				return "", fmt.Errorf("%s: %s: %w", m.name, name, err)
			}
		}
	}
	said, _, _ = strings.Cut(said, "\n")
	return said, nil
}

// end deletes the cluster and wants the host as it was before.
func (t *test) end() {
	t.control.close()
	t.worker.close()
	t.Do("kind delete cluster", func() error {
		_, err := t.run("kind", "delete", "cluster", "--kubeconfig", kubeconfig)
		return err
	})
	t.Do("no container and no volume is left", func() error {
		out, err := t.run("sh", "-c", "docker ps --all --quiet; docker volume ls --quiet")
		if err == nil && out != "" {
			err = errors.New("left: " + strings.ReplaceAll(out, "\n", " "))
		}
		return err
	})
	t.Do("the host's links, addresses, routes, rules and settings are as before, once kind's network is gone, too", func() error {
		if _, err := t.run("docker", "network", "rm", "kind"); err != nil { // kind keeps it by design
			return err
		}
		return t.host.ExpectState(t.idle)
	})
}
