package kit

import (
	"archive/tar"
	"bytes"
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"time"
)

// Image is one layer of static programs.
type Image struct {
	Tag     string
	Files   map[string]string // path in the image, without the first slash: program
	Command []string          // what a container runs
}

// InstallerImage is what the DaemonSet of conf/kubernetes runs.
func InstallerImage() Image {
	files := map[string]string{"installer": Repo("bin/installer")}
	for _, name := range plugins {
		files["plugins/"+name] = Repo("bin/" + name)
	}
	return Image{Tag: "docker.io/bridgeport/installer:latest", Command: []string{"/installer"}, Files: files}
}

// Write writes the image to a file, in the form that `docker save` has and every
// runtime imports.
func (i Image) Write(file string) error {
	var files []entry
	for _, name := range slices.Sorted(maps.Keys(i.Files)) {
		data, err := os.ReadFile(i.Files[name])
		if err != nil {
			return err
		}
		files = append(files, entry{name, 0o755, data})
	}
	layer, err := archive(files...)
	if err != nil {
		return err
	}
	config, err := json.Marshal(map[string]any{
		"architecture": runtime.GOARCH, "os": "linux", "created": time.Unix(0, 0).UTC(),
		"config":  map[string]any{"Entrypoint": i.Command},
		"rootfs":  map[string]any{"type": "layers", "diff_ids": []string{fmt.Sprintf("sha256:%x", sha256.Sum256(layer))}},
		"history": []any{map[string]any{"created": time.Unix(0, 0).UTC()}},
	})
	if err != nil {
		return err
	}
	manifest, err := json.Marshal([]any{map[string]any{"Config": "config.json", "RepoTags": []string{i.Tag}, "Layers": []string{"layer.tar"}}})
	if err != nil {
		return err
	}
	image, err := archive(entry{"manifest.json", 0o644, manifest}, entry{"config.json", 0o644, config}, entry{"layer.tar", 0o644, layer})
	if err != nil {
		return err
	}
	return os.WriteFile(file, image, 0o644)
}

type entry struct {
	name string
	mode int64
	data []byte
}

func archive(entries ...entry) ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, e := range entries {
		header := &tar.Header{Name: e.name, Mode: e.mode, Size: int64(len(e.data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(e.data); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// Import gives the image to the node's containerd. The file is outside the node, so
// it comes by stdin.
func (n *Node) Import(i Image) error {
	file := filepath.Join(nodesDir, n.Name+"-image.tar")
	if err := i.Write(file); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	argv := []string{"ctr", "-a", Socket, "-n", "k8s.io", "images", "import", "-"}
	cmd := n.Command(argv...)
	cmd.Stdin = f
	_, err = output(cmd, argv)
	return err
}
