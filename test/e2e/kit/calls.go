package kit

import (
	"debug/buildinfo"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/log"
)

// Verbs are those of the specification that a runtime may call, in the order of the table.
var Verbs = []string{"ADD", "DEL", "CHECK", "STATUS", "GC"}

// Calls are how often a runtime called bridge, by verb, and how many of its ADDs of portmap had ports.
type Calls struct {
	Runtime string         `json:"runtime"` // with its version: "containerd 2.4.2"
	Suite   string         `json:"suite"`   // "e2e-containerd"
	Verbs   map[string]int `json:"verbs"`
	Ports   int            `json:"ports"`
}

// LogVariable has the plugins write what is called. It is in the environment of all that the test
// runs on a node; what daemons start with another environment needs it, too.
const LogVariable = log.Variable + "=debug:" + log.DefaultFile

// CallsDir is where each suite leaves its Calls, for the table in conf/README.md.
func CallsDir() string { return Cache("calls") }

// ModuleVersion is the version of the module that a program was built from, as Go notes it: "2.4.2".
func ModuleVersion(program string) (string, error) {
	info, err := buildinfo.ReadFile(program)
	if err != nil {
		return "", err
	}
	return strings.TrimPrefix(info.Main.Version, "v"), nil
}

// Called counts what the programs of nodes have called so far, and notes it for the runtime. The
// test's own calls on a node are not counted.
func (r *Report) Called(runtime string, nodes ...*Node) {
	r.Check("the calls of "+runtime+" are counted", func() (string, error) {
		c := Calls{Runtime: runtime, Suite: r.name, Verbs: make(map[string]int)}
		for _, n := range nodes {
			for _, suffix := range []string{".1", ""} {
				if err := c.read(filepath.Join(n.Dir, "upper", log.DefaultFile+suffix)); err != nil {
					return "", err
				}
			}
		}
		if c.Verbs["ADD"] == 0 {
			return "", errors.New("no ADD")
		}
		return c.String(), c.write()
	})
}

func (c *Calls) read(path string) error {
	data, err := os.ReadFile(path)
	if errors.Is(err, os.ErrNotExist) {
		return nil
	}
	if err != nil {
		return err
	}
	for line := range strings.Lines(string(data)) {
		var l struct {
			Plugin, Verb string
			Config       struct {
				RuntimeConfig struct{ PortMappings []any }
			}
		}
		if err := json.Unmarshal([]byte(line), &l); err != nil {
			return fmt.Errorf("%s: %w", path, err)
		}
		switch {
		case l.Plugin == "bridge":
			c.Verbs[l.Verb]++
		case l.Plugin == "portmap" && l.Verb == "ADD" && len(l.Config.RuntimeConfig.PortMappings) > 0:
			c.Ports++
		}
	}
	return nil
}

func (c *Calls) String() string {
	var words []string
	for _, verb := range Verbs {
		words = append(words, fmt.Sprintf("%s %d", verb, c.Verbs[verb]))
	}
	return strings.Join(words, ", ") + fmt.Sprintf("; with ports %d", c.Ports)
}

func (c *Calls) write() error {
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	path := filepath.Join(CallsDir(), strings.NewReplacer(" ", "-", "/", "-").Replace(c.Suite+" "+c.Runtime)+".json")
	return errors.Join(os.MkdirAll(filepath.Dir(path), 0o755), os.WriteFile(path, append(text, '\n'), 0o644))
}
