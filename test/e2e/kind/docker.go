package main

import (
	"encoding/json"
	"errors"
	"os"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

type object = map[string]any

// startDocker starts Debian's dockerd, which starts Debian's containerd and calls our runtime.
// It tells Docker's version.
func (t *test) startDocker() (string, error) {
	exe, err := os.Executable()
	if err != nil {
		return "", err
	}
	text, err := json.Marshal(object{
		"storage-driver":  "overlay2",
		"exec-opts":       []string{"native.cgroupdriver=cgroupfs"},
		"default-runtime": "guarded",
		"runtimes":        object{"guarded": object{"path": exe, "runtimeArgs": []string{runtimeMark}}},
	})
	if err != nil {
		return "", err
	}
	t.host.Path = []string{kit.Cache("bin/kind"), kit.Cache("bin/kubernetes")}
	// The first network with IPv6 makes Docker turn it on, for good.
	if err := t.host.SetSysctl("net/ipv6/conf/all/forwarding", "1"); err != nil {
		return "", err
	}
	if err := t.host.Write("/etc/docker/daemon.json", string(text)); err != nil {
		return "", err
	}
	// Without CAP_SYS_RESOURCE its own wish, -500, is refused.
	docker, err := t.host.Start("dockerd", "dockerd", "--oom-score-adjust", "0")
	if err != nil {
		return "", err
	}
	var version string
	err = kit.Wait(60*time.Second, func() (err error) {
		version, err = t.run("docker", "version", "--format", "{{.Server.Version}}")
		return errors.Join(err, docker.Alive())
	})
	if err == nil {
		t.idle, err = t.host.Settled()
	}
	return version, err
}

// loadImage gives Docker the nodes' image.
func (t *test) loadImage() error {
	_, err := t.run("docker", "load", "--input", t.image)
	return err
}
