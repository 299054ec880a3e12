package main

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

const (
	nodeTag = "localhost/bridgeport-e2e/kind-node:1"
	// edition changes with what this package makes of the programs.
	edition = "1"
	images  = "kind" // of the cache
)

// base has the Debian packages, kindFiles what kind's own base image has beside them.
func base() string      { return kit.Cache("base.tar") }
func kindFiles() string { return kit.Cache("mod/sigs.k8s.io/kind@v0.33.0/images/base/files") }

// nodePrograms are those of the node itself, by where they are there. Of the plugins it has
// what kind's node image has, less ptp.
func nodePrograms() map[string]string {
	programs := make(map[string]string)
	for dir, from := range map[string][]string{
		"usr/bin":       {"bin/kubernetes/kubelet", "bin/kubernetes/kubeadm", "bin/kubernetes/kubectl"},
		"usr/local/bin": {"bin/containerd/containerd", "bin/containerd/ctr", "bin/containerd/containerd-shim-runc-v2", "bin/crictl/crictl"},
	} {
		for _, path := range from {
			programs[dir+"/"+filepath.Base(path)] = kit.Cache(path)
		}
	}
	for _, name := range []string{"host-local", "loopback", "portmap"} {
		programs["opt/cni/bin/"+name] = kit.Repo("bin/reference/" + name)
	}
	return programs
}

// nodeImage makes the image if the cache lacks it, and tells its size.
func (t *test) nodeImage() (string, error) {
	sum, err := inputs()
	if err != nil {
		return "", err
	}
	t.image = kit.Cache(filepath.Join(images, "node-"+sum+".tar"))
	detail := "was there"
	if _, err := os.Stat(t.image); errors.Is(err, fs.ErrNotExist) {
		if err := os.RemoveAll(kit.Cache(images)); err != nil { // older ones
			return "", err
		}
		if err := t.makeImage(); err != nil {
			return "", errors.Join(err, os.RemoveAll(kit.Cache(images)))
		}
		detail = "made"
	}
	info, err := os.Stat(t.image)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, %d MB", detail, info.Size()>>20), nil
}

// inputs is a checksum of all that the image is made of.
func inputs() (string, error) {
	files := []string{base(), kit.Repo("bin/e2e/pod")}
	for _, program := range nodePrograms() {
		files = append(files, program)
	}
	for _, program := range controlPrograms {
		files = append(files, kit.Cache(program))
	}
	err := filepath.WalkDir(kindFiles(), func(path string, e fs.DirEntry, err error) error {
		if err == nil && !e.IsDir() {
			files = append(files, path)
		}
		return err
	})
	if err != nil {
		return "", err
	}
	sums := make([]string, 0, len(files))
	for _, file := range files {
		sum, err := checksum(file)
		if err != nil {
			return "", err
		}
		sums = append(sums, sum)
	}
	all := sha256.Sum256([]byte(edition + strings.Join(sorted(sums), "")))
	return hex.EncodeToString(all[:8]), nil
}

func checksum(file string) (string, error) {
	f, err := os.Open(file)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	_, err = io.Copy(h, f)
	return hex.EncodeToString(h.Sum(nil)), err
}

// makeImage writes the image: Debian's packages, kind's files with the programs, and the
// containers' images in containerd's own store, as `kind build node-image` leaves them.
func (t *test) makeImage() error {
	work := "/var/lib/kind" // the test's own, which ends with it
	if err := errors.Join(os.MkdirAll(work, 0o755), os.MkdirAll(kit.Cache(images), 0o755)); err != nil {
		return err
	}
	files, store := filepath.Join(work, "files.tar"), filepath.Join(work, "store.tar")
	spec, err := t.makeStore(work, store)
	if err != nil {
		return err
	}
	if err := writeFiles(files, spec); err != nil {
		return err
	}
	image := kit.Image{
		Tag: nodeTag, Layers: []string{base(), files, store}, Plain: true,
		Command: []string{"/usr/local/bin/entrypoint", "/sbin/init", "systemd.legacy_systemd_cgroup_controller=yes"},
		Env:     []string{"container=docker", "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"}, StopSignal: "SIGRTMIN+3",
	}
	if err := image.Write(t.image + ".new"); err != nil {
		return err
	}
	return errors.Join(os.Rename(t.image+".new", t.image), os.RemoveAll(work))
}

// writeFiles writes the layer of kind's files and the programs. spec is what each container
// of a node begins with.
func writeFiles(path, spec string) error {
	version, err := kubernetesVersion()
	if err != nil {
		return err
	}
	a := newArchive(path)
	a.tree("", kindFiles(), func(path string) int64 {
		if strings.HasPrefix(path, "/usr/local/bin/") || strings.HasPrefix(path, "/kind/bin/") {
			return 0o755
		}
		return 0o644
	})
	for _, at := range sortedKeys(nodePrograms()) {
		a.copy(at, nodePrograms()[at], 0o755)
	}
	a.text("kind/version", version)
	a.text("etc/containerd/cri-base.json", spec)
	a.text("etc/systemd/journald.conf.d/kind.conf", "[Journal]\nReadKMsg=no\n")
	a.dir("kind/manifests")
	a.dir("etc/kubernetes/manifests")
	for _, unit := range []string{"kubelet", "containerd", "undo-mount-hacks"} {
		a.link("etc/systemd/system/multi-user.target.wants/"+unit+".service", "/etc/systemd/system/"+unit+".service")
	}
	// It would change the whole machine.
	a.link("etc/systemd/system/systemd-binfmt.service", "/dev/null")
	return a.close()
}

// baseSpec is containerd's own specification, with the hook of kind's base image and without limits.
func baseSpec(text string) (string, error) {
	var spec map[string]any
	if err := json.Unmarshal([]byte(text), &spec); err != nil {
		return "", err
	}
	spec["hooks"] = object{"createContainer": []object{{"path": "/kind/bin/mount-product-files.sh"}}}
	if process, ok := spec["process"].(map[string]any); ok {
		delete(process, "rlimits")
	}
	out, err := json.Marshal(spec)
	return string(out), err
}
