package kit

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"errors"
	"io"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"runtime"
	"slices"
	"time"

	"github.com/google/go-containerregistry/pkg/name"
	v1 "github.com/google/go-containerregistry/pkg/v1"
	"github.com/google/go-containerregistry/pkg/v1/empty"
	"github.com/google/go-containerregistry/pkg/v1/mutate"
	"github.com/google/go-containerregistry/pkg/v1/tarball"
)

// Image is one layer of static programs, above others if there are any.
type Image struct {
	Tag        string
	Layers     []string          // archives below the programs
	Files      map[string]string // path in the image, without the first slash: program
	Command    []string          // what a container runs
	Env        []string
	StopSignal string
	Plain      bool // not compressed, which takes less time where it is large
}

// ServerImage is what pods run: the tests' own program.
func ServerImage() Image {
	return Image{Tag: PodImage, Files: map[string]string{"pod": Repo("bin/e2e/pod")}, Command: []string{"/pod", "serve"}}
}

// PauseImage is what a pod's first container runs.
func PauseImage(tag string) Image {
	return Image{Tag: tag, Files: map[string]string{"pod": Repo("bin/e2e/pod")}, Command: []string{"/pod", "pause"}}
}

// InstallerImage is what the DaemonSet of conf/kubernetes runs, by the name that the manifest has.
func InstallerImage() (Image, error) {
	manifest, err := os.ReadFile(Repo("conf/kubernetes/bridgeport.yaml"))
	tag := regexp.MustCompile(`(?m)^\s*image: (\S+)$`).FindSubmatch(manifest)
	if err == nil && tag == nil {
		err = errors.New("conf/kubernetes/bridgeport.yaml: names no image")
	}
	if err != nil {
		return Image{}, err
	}
	files := map[string]string{"installer": Repo("bin/installer"), "LICENSE": Repo("LICENSE"), "THIRD-PARTY": Repo("bin/THIRD-PARTY")}
	for _, name := range append([]string{"bridgeport"}, plugins...) {
		files["plugins/"+name] = Repo("bin/" + name)
	}
	return Image{Tag: string(tag[1]), Command: []string{"/installer"}, Files: files}, nil
}

// Write writes the image to a file, in the form that `docker save` has and every
// runtime imports. The same programs give the same bytes.
func (i Image) Write(file string) error {
	tag, err := name.NewTag(i.Tag)
	if err != nil {
		return err
	}
	layers, err := i.layers()
	if err != nil {
		return err
	}
	image, err := mutate.AppendLayers(empty.Image, layers...)
	if err != nil {
		return err
	}
	config, err := image.ConfigFile()
	if err != nil {
		return err
	}
	config.Architecture, config.OS = runtime.GOARCH, "linux"
	config.Config.Entrypoint, config.Config.Env, config.Config.StopSignal = i.Command, i.Env, i.StopSignal
	if image, err = mutate.ConfigFile(image, config); err != nil {
		return err
	}
	return tarball.WriteToFile(file, tag, image)
}

func (i Image) layers() (list []v1.Layer, err error) {
	level := tarball.WithCompressionLevel(gzip.BestSpeed)
	if i.Plain {
		level = tarball.WithCompressionLevel(gzip.NoCompression)
	}
	for _, file := range i.Layers {
		layer, err := tarball.LayerFromFile(file, level)
		if err != nil {
			return nil, err
		}
		list = append(list, layer)
	}
	if len(i.Files) == 0 {
		return list, nil
	}
	content, err := i.layer()
	if err != nil {
		return nil, err
	}
	layer, err := tarball.LayerFromOpener(func() (io.ReadCloser, error) { return io.NopCloser(bytes.NewReader(content)), nil }, level)
	return append(list, layer), err
}

// layer is the files as an archive.
func (i Image) layer() ([]byte, error) {
	var out bytes.Buffer
	w := tar.NewWriter(&out)
	for _, path := range slices.Sorted(maps.Keys(i.Files)) {
		data, err := os.ReadFile(i.Files[path])
		if err != nil {
			return nil, err
		}
		header := &tar.Header{Name: path, Mode: 0o755, Size: int64(len(data)), ModTime: time.Unix(0, 0), Format: tar.FormatUSTAR}
		if err := w.WriteHeader(header); err != nil {
			return nil, err
		}
		if _, err := w.Write(data); err != nil {
			return nil, err
		}
	}
	return out.Bytes(), w.Close()
}

// Import gives the image to the node's containerd. The file is outside the node, so
// it comes by stdin. options are those of `ctr images import`.
func (n *Node) Import(i Image, options ...string) error {
	file := filepath.Join(nodesDir, n.Name+"-image.tar")
	if err := i.Write(file); err != nil {
		return err
	}
	f, err := os.Open(file)
	if err != nil {
		return err
	}
	defer f.Close()
	argv := append(append([]string{"ctr", "-a", Socket, "-n", "k8s.io", "images", "import"}, options...), "-")
	_, err = n.Feed(f, argv...)
	return err
}
