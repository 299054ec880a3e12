package soak

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

type conf map[string]any

// network is a configuration, and what its attachments hold.
type network struct {
	name    string
	gateway string
	plugins []conf
	gc      sync.RWMutex // GC's list must be complete: no ADD meanwhile
}

// attachment is a container's place in a network, with one published port.
type attachment struct {
	id, netns string
	port      int
}

type world struct {
	t        *testing.T
	bin, dir string
	host     *stage.Space
	networks []*network
	history

	diskFull atomic.Bool

	adds, attached, dels, checks, gcs, disturbed, pings, violations atomic.Int64
}

// diskSize is small, so that it can be filled, but not by leases: each is a page, and
// there is one in each place of the freed ones, too.
const diskSize = 8 << 20

func newWorld(t *testing.T) *world {
	t.Helper()
	bin := os.Getenv("BRIDGEPORT_BIN")
	if bin == "" {
		bin = filepath.Join("..", "..", "bin")
	}
	bin, err := filepath.Abs(bin)
	if err == nil {
		_, err = os.Stat(filepath.Join(bin, "host-local"))
	}
	if err != nil {
		t.Fatalf("%v: run `make build`, or set BRIDGEPORT_BIN", err)
	}
	w := &world{t: t, bin: bin, dir: t.TempDir()}
	if err := unix.Mount("soak", w.dir, "tmpfs", 0, fmt.Sprint("size=", diskSize)); err != nil {
		t.Fatal(err)
	}
	if w.host, err = stage.NewSpace("soak"); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := errors.Join(w.host.Close(), unix.Unmount(w.dir, unix.MNT_DETACH)); err != nil {
			t.Error(err)
		}
	})
	if err := w.host.SetSysctl("net/ipv6/conf/default/accept_dad", "0"); err != nil {
		t.Fatal(err)
	}
	w.history.world = w
	w.history.held = make(map[string]claim)
	w.history.known = make(map[string]map[string]bool)
	w.networks = []*network{
		w.network("chained", 71, conf{}, conf{"type": "portmap"}),
		w.network("inside", 72, conf{"macspoofchk": true}),
		w.network("legacy", 73, conf{"ipMasqBackend": "iptables"}, conf{"type": "portmap", "backend": "iptables"}),
	}
	return w
}

func (w *world) network(name string, net int, more conf, behind ...conf) *network {
	c := conf{
		"type": "bridge", "bridge": fmt.Sprintf("soak%d", net), "isDefaultGateway": true, "ipMasq": true,
		"ipam": conf{"type": "host-local", "dataDir": filepath.Join(w.dir, "leases"), "ranges": [][]conf{
			{{"subnet": fmt.Sprintf("10.%d.0.0/26", net)}}, {{"subnet": fmt.Sprintf("fd00:%d::/64", net)}},
		}},
	}
	for k, v := range more {
		c[k] = v
	}
	return &network{name: name, gateway: fmt.Sprintf("10.%d.0.1", net), plugins: append([]conf{c}, behind...)}
}

// stdin is what a runtime hands over.
func (w *world) stdin(n *network, c conf, verb string, a attachment, previous []byte) []byte {
	full := conf{"cniVersion": "1.1.0", "name": n.name}
	for k, v := range c {
		full[k] = v
	}
	if verb == "GC" {
		full["cni.dev/valid-attachments"] = w.valid(n)
	} else {
		full["runtimeConfig"] = conf{"portMappings": []conf{{"hostPort": a.port, "containerPort": 80, "protocol": "tcp"}}}
	}
	if previous != nil {
		full["prevResult"] = json.RawMessage(previous)
	}
	text, err := json.Marshal(full)
	if err != nil {
		panic(err) // a slip in this file
	}
	return text
}

// state is the host and the leases; what is kept by design is left out, and what the
// iptables program makes by itself.
func (w *world) state() snapshot.Snapshot {
	w.t.Helper()
	full, err := snapshot.Take(w.host.NS, w.dir)
	if err != nil {
		w.t.Fatal(err)
	}
	return full.Without(func(key string) bool {
		path, isFile := strings.CutPrefix(key, "file ")
		base := filepath.Base(path)
		words := strings.Fields(key)
		xtables := len(words) > 3 && words[0] == "nft" && strings.HasPrefix(words[2], "ip") && !strings.Contains(full[key], "\nrule") && !strings.Contains(key, "CNI")
		return xtables || isFile && (strings.HasPrefix(full[key], "d") || base == "lock" ||
			strings.HasPrefix(base, "last_reserved_ip.") || strings.Contains(path, "/freed/"))
	})
}
