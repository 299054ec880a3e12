package soak

import (
	"encoding/json"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// network is a configuration, and what its attachments hold.
type network struct {
	name    string
	gateway string
	plugins []stage.Conf
	gc      sync.RWMutex // GC's list must be complete: no ADD meanwhile
	// lostLeases counts the beginning and the end of each loss of the leases.
	lostLeases atomic.Int64
}

// attachment is a container's place in a network, with one published port.
type attachment struct {
	id, netns string
	port      int
}

type world struct {
	*stage.Stage
	t        *testing.T
	networks []*network
	history

	diskFull atomic.Bool

	adds, attached, dels, checks, gcs, disturbed, pings, violations atomic.Int64
}

// diskSize is small, so that it can be filled, but not by leases: each is a page, and
// there is one in each place of the freed ones, too.
const (
	diskSize = 8 << 20
	inodes   = 4000
)

func newWorld(t *testing.T) *world {
	t.Helper()
	w := &world{Stage: stage.Bare(t), t: t}
	w.Must(unix.Mount("soak", w.Dir, "tmpfs", 0, fmt.Sprintf("size=%d,nr_inodes=%d", diskSize, inodes)))
	t.Cleanup(func() { w.Must(unix.Unmount(w.Dir, unix.MNT_DETACH)) })
	w.history.world = w
	w.history.held = make(map[string]claim)
	w.history.known = make(map[string]map[string]bool)
	w.networks = []*network{
		w.network("chained", 71, stage.Conf{}, stage.Conf{"type": "portmap"}),
		w.network("inside", 72, stage.Confined()),
		w.network("legacy", 73, stage.Conf{"ipMasqBackend": "iptables"}, stage.Conf{"type": "portmap", "backend": "iptables"}),
	}
	return w
}

func (w *world) network(name string, net int, more stage.Conf, behind ...stage.Conf) *network {
	c := w.Bridge(fmt.Sprintf("10.%d.0.0/26", net), fmt.Sprintf("fd00:%d::/64", net)).With(stage.Conf{"bridge": fmt.Sprintf("soak%d", net)}).With(more)
	return &network{name: name, gateway: fmt.Sprintf("10.%d.0.1", net), plugins: append([]stage.Conf{c}, behind...)}
}

// stdin is what a runtime hands over.
func (w *world) stdin(n *network, c stage.Conf, verb string, a attachment, previous []byte) []byte {
	full := c.With(stage.Conf{"name": n.name})
	if verb == "GC" {
		full["cni.dev/valid-attachments"] = w.valid(n)
	} else {
		full["runtimeConfig"] = stage.Conf{"portMappings": []map[string]any{stage.Port("tcp", a.port, 80)}}
	}
	if previous != nil {
		full["prevResult"] = json.RawMessage(previous)
	}
	return full.Stdin()
}

// state is the host and its files, less what is kept by design.
func (w *world) state() (snapshot.Snapshot, error) {
	full, err := snapshot.Take(w.Host.NS, w.Dir)
	return full.WithoutBookkeeping(), err
}
