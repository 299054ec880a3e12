package node

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// Cached is what libcni remembers of one attachment: the call and its result.
type Cached struct {
	File    string
	Time    time.Time // of the ADD
	Plugins []Plugin  // of the list that was used
	Result  *current.Result
	Call
}

// Call is the runtime's call, as libcni keeps it (libcni, cachedInfo).
type Call struct {
	Kind           string          `json:"kind"`
	ContainerID    string          `json:"containerId"`
	Config         []byte          `json:"config"`
	IfName         string          `json:"ifName"`
	NetworkName    string          `json:"networkName"`
	NetNS          string          `json:"netns"`
	CNIArgs        [][2]string     `json:"cniArgs"`
	CapabilityArgs map[string]any  `json:"capabilityArgs"`
	RawResult      json.RawMessage `json:"result"`
}

// Args is the call's CNI_ARGS.
func (c Call) Args() cni.Args {
	args := make(cni.Args)
	for _, a := range c.CNIArgs {
		args[a[0]] = a[1]
	}
	return args
}

// cached reads the cache. A file that is not what libcni writes is left out: it may be
// half written this very moment.
func cached(dir string) ([]Cached, error) {
	entries, err := os.ReadDir(filepath.Join(dir, "results"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("cache: %w", err)
	}
	var list []Cached
	for _, e := range entries {
		c := Cached{File: filepath.Join(dir, "results", e.Name())}
		data, err := os.ReadFile(c.File)
		if err != nil || json.Unmarshal(data, &c.Call) != nil || c.Kind != "cniCacheV1" || c.NetworkName == "" {
			continue
		}
		if info, err := e.Info(); err == nil {
			c.Time = info.ModTime()
		}
		if res, err := create.CreateFromBytes(c.RawResult); err == nil {
			c.Result, _ = current.NewResultFromResult(res) // nil where it can't be read
		}
		if net, err := ParseNetwork(c.Config); err == nil {
			c.Plugins = net.Plugins
		}
		list = append(list, c)
	}
	return list, nil
}
