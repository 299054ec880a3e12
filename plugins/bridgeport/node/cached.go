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

// Broken is a file of the cache that can't be read: a crash left it, or it is half written
// this very moment.
type Broken struct {
	File string
	Time time.Time // of the last write
	Why  error
}

// cached reads the cache. What an old libcni wrote, which is JSON of another kind, is left out.
func cached(dir string) (list []Cached, broken []Broken, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "results"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cache: %w", err)
	}
	for _, e := range entries {
		c := Cached{File: filepath.Join(dir, "results", e.Name())}
		if info, err := e.Info(); err == nil {
			c.Time = info.ModTime()
		}
		data, err := os.ReadFile(c.File)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err == nil {
			err = json.Unmarshal(data, &c.Call)
		}
		if err != nil && !e.IsDir() {
			broken = append(broken, Broken{c.File, c.Time, err})
		}
		if err != nil || c.Kind != "cniCacheV1" || c.NetworkName == "" {
			continue
		}
		if res, err := create.CreateFromBytes(c.RawResult); err == nil {
			c.Result, _ = current.NewResultFromResult(res) // nil where it can't be read
		}
		if net, err := ParseNetwork(c.Config); err == nil {
			c.Plugins = net.Plugins
		}
		list = append(list, c)
	}
	return list, broken, nil
}
