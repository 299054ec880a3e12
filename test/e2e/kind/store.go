package main

import (
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// controlPrograms are in the images that kubeadm wants, by the last part of the image's name.
var controlPrograms = map[string]string{
	"kube-apiserver": "bin/kubernetes/kube-apiserver", "kube-controller-manager": "bin/kubernetes/kube-controller-manager",
	"kube-scheduler": "bin/kubernetes/kube-scheduler", "kube-proxy": "bin/kubernetes/kube-proxy",
	"etcd": "bin/etcd/server", "coredns": "bin/coredns/coredns",
}

// kubernetesVersion is what the programs say of themselves.
func kubernetesVersion() (string, error) {
	return output(kit.Cache("bin/kubernetes/kubeadm"), "version", "--output=short")
}

func output(argv ...string) (string, error) {
	out, err := exec.Command(argv[0], argv[1:]...).Output()
	if err != nil {
		return "", fmt.Errorf("%s: %w", strings.Join(argv, " "), err)
	}
	return strings.TrimSpace(string(out)), nil
}

// wantedImages are those that kubeadm starts, and the one that kind's containerd starts pods with.
func wantedImages() ([]string, error) {
	version, err := kubernetesVersion()
	if err != nil {
		return nil, err
	}
	text, err := output(kit.Cache("bin/kubernetes/kubeadm"), "config", "images", "list", "--kubernetes-version", version)
	if err != nil {
		return nil, err
	}
	config, err := os.ReadFile(filepath.Join(kindFiles(), "etc/containerd/config.toml"))
	if err != nil {
		return nil, err
	}
	pause := regexp.MustCompile(`sandbox_image = "(\S+)"`).FindSubmatch(config)
	if pause == nil {
		return nil, errors.New("kind's containerd names no sandbox_image")
	}
	wanted := slices.DeleteFunc(strings.Fields(text), func(tag string) bool { return strings.Contains(tag, "/pause:") })
	return append(wanted, string(pause[1])), nil
}

// imageOf makes one of them of a program. kube-proxy's has the programs that it executes, too.
func imageOf(tag, work string) (kit.Image, error) {
	name, _, _ := strings.Cut(path.Base(tag), ":")
	if name == "pause" {
		return kit.PauseImage(tag), nil
	}
	program, ok := controlPrograms[name]
	if !ok {
		return kit.Image{}, fmt.Errorf("no program for %s", tag)
	}
	image := kit.Image{
		Tag: tag, Files: map[string]string{"usr/local/bin/" + path.Base(program): kit.Cache(program)},
		Env: []string{"PATH=/usr/local/bin:/usr/sbin:/usr/bin"},
	}
	switch name {
	case "etcd":
		image.Files = map[string]string{"usr/local/bin/etcd": kit.Cache(program)}
	case "coredns":
		image.Command = []string{"/usr/local/bin/coredns"}
	case "kube-proxy":
		below := filepath.Join(work, "kube-proxy-base.tar")
		a := newArchive(below)
		a.part(base(), func(path string) bool {
			at, _, _ := strings.Cut(path, "/")
			return slices.Contains([]string{"lib", "lib64", "sbin", "bin"}, at) ||
				strings.HasPrefix(path, "usr/sbin/") || strings.HasPrefix(path, "usr/lib64/") || strings.HasPrefix(path, "etc/alternatives/") ||
				strings.HasPrefix(path, "usr/lib/") && strings.Contains(path, "-linux-gnu/")
		})
		image.Layers = []string{below}
		return image, a.close()
	}
	return image, nil
}

// makeStore lets a containerd import the images, and writes what it keeps of them as a layer.
// It returns what each container of a node begins with.
func (t *test) makeStore(work, layer string) (spec string, err error) {
	builder, err := kit.NewNode(t.lan, "builder", "")
	if err != nil {
		return "", err
	}
	daemon, err := builder.BareContainerd(kit.Module())
	if err != nil {
		return "", err
	}
	tags, err := wantedImages()
	if err != nil {
		return "", err
	}
	for _, tag := range tags {
		image, err := imageOf(tag, work)
		if err != nil {
			return "", err
		}
		// Pinned, or kubelet would throw it away when the disk is full.
		if err := builder.Import(image, "--label=io.cri-containerd.pinned=pinned", "--all-platforms", "--no-unpack"); err != nil {
			return "", err
		}
	}
	text, err := builder.Run("ctr", "oci", "spec")
	if err != nil {
		return "", err
	}
	if spec, err = baseSpec(text); err != nil {
		return "", err
	}
	if err := daemon.Stop(); err != nil {
		return "", err
	}
	a := newArchive(layer)
	for _, part := range []string{"io.containerd.content.v1.content", "io.containerd.metadata.v1.bolt"} {
		at := filepath.Join("var/lib/containerd", part)
		a.tree(at, filepath.Join(builder.Dir, "lib/containerd", part), func(string) int64 { return 0o600 })
	}
	return spec, errors.Join(a.close(), builder.PowerOff(), os.RemoveAll(builder.Dir))
}

func sortedKeys(m map[string]string) []string { return slices.Sorted(maps.Keys(m)) }

func sorted(list []string) []string { return slices.Sorted(slices.Values(list)) }
