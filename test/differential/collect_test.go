package differential

import (
	"maps"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// collection is a GC in place of attachments: which plugin is called with which keys beside the
// configuration, and the files that the network's lease directory holds, if there is one.
type collection struct {
	plugin string
	keys   object
	files  map[string]string
}

// leftLeases are files as the plugins and their crashes leave them; c1/eth0 is the one alive.
var leftLeases = map[string]string{
	"10.61.0.2": "c1\r\neth0", "10.61.0.3": "c1\r\neth1", "10.61.0.4": "c2\r\neth0",
	"10.61.0.5": "c1", "10.61.0.6": "c2", // as before interfaces were told apart
	"10.61.0.7": "c1\r\neth0\r\n", "10.61.0.8": " c1\n", "10.61.0.9": "", "10.61.0.10": "\r\neth0",
	"fd61::2": "c1\r\neth0", "fd61::3": "c2\r\neth0",
	"lock": "", "last_reserved_ip.0": "10.61.0.10", "last_reserved_ip.1": "fd61::3", "notes": "c2\r\neth0",
}

// collections are calls of GC.
func collections() (list []*configuration) {
	const key = "cni.dev/valid-attachments"
	add := func(name string, gc collection) {
		list = append(list, with("GC: "+name, func(c *configuration) {
			c.lease(oneRange(lan4, nil), oneRange(lan6, nil))
			c.boxes, c.gc = 0, &gc
		}))
	}
	some := object{key: []object{{"containerID": "c1", "ifname": "eth0"}, {"containerID": "c3", "ifname": "eth0"}}}
	add("some are alive", collection{"host-local", some, leftLeases})
	add("none is alive", collection{"host-local", object{key: []object{}}, leftLeases})
	add("null, as libcni sends an empty list", collection{"host-local", object{key: nil}, leftLeases})
	add("no list", collection{"host-local", nil, leftLeases})
	add("no leases", collection{"host-local", some, nil})
	add("by way of bridge", collection{"bridge", some, leftLeases})
	return list
}

// collect runs GC twice, and then ADD, which shows that the leases can still be used.
func (b *bench) collect(t *testing.T, twins [2]*twin) (others []string) {
	t.Helper()
	c := twins[0].c
	look := func(when string) {
		others = append(others, b.judge(c, func(w *twin) (facts, error) { return w.observe(when) }, twins)...)
	}
	both(t, twins, (*twin).leaveLeases)
	for _, label := range []string{"GC", "GC again"} {
		both(t, twins, func(w *twin) error { return w.lease(label, c.gc.plugin, stage.Call{Command: "GC"}, c.gc.keys) })
		look("collected")
	}
	both(t, twins, func(w *twin) error {
		return w.lease("ADD", "host-local", stage.Call{Command: "ADD", ContainerID: "c9", Netns: "/nowhere", IfName: ifName}, nil)
	})
	look("attached")
	return append(others, b.judge(c, func(w *twin) (facts, error) { return w.calls.of("") }, twins)...)
}

// leaveLeases writes the files.
func (w *twin) leaveLeases() error {
	dir := filepath.Join(w.Data(), "lan")
	for _, name := range slices.Sorted(maps.Keys(w.c.gc.files)) {
		if err := os.MkdirAll(dir, 0o755); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, name), []byte(w.c.gc.files[name]), 0o600); err != nil {
			return err
		}
	}
	return nil
}

// lease runs a plugin for no container of the stage.
func (w *twin) lease(label, plugin string, call stage.Call, keys object) (err error) {
	call.Plugin = plugin
	if call.Config, err = w.c.stdin(w.Data(), w.resolv, keys); err != nil {
		return err
	}
	answer, err := w.Host.CNI(w.Bin, call)
	w.note(label, answer)
	return err
}
