package soak

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// worker is a runtime with one container at a time.
type worker struct {
	*world
	n, round int
	rng      *rand.Rand
	box      *stage.Space
}

func (k *worker) work(end time.Time) {
	for time.Now().Before(end) {
		k.round++
		if err := k.once(); err != nil {
			k.violated("worker %d, round %d: %v", k.n, k.round, err)
			return
		}
	}
	if k.box != nil {
		if err := k.box.Close(); err != nil {
			k.t.Error(err)
		}
	}
}

// once is the life of one attachment.
func (k *worker) once() (err error) {
	if k.box == nil {
		if k.box, err = stage.NewSpace(fmt.Sprintf("w%dr%d", k.n, k.round)); err != nil {
			return err
		}
	}
	n := k.networks[k.rng.IntN(len(k.networks))]
	a := attachment{
		id: fmt.Sprintf("w%d-r%d", k.n, k.round), netns: k.box.Path,
		port: 8000 + k.rng.IntN(200), // of so few that they meet
	}
	if k.rng.IntN(20) == 0 {
		k.collect(n)
	}
	k.enter(n, a)
	defer k.leave(n, a)
	flushes := k.flushes()
	result := k.attach(n, a, flushes)
	if result != nil {
		if err := k.live(n, a, result, flushes); err != nil {
			return err
		}
	}
	return k.detach(n, a, result)
}

// attach is nil where ADD failed or died.
func (k *worker) attach(n *network, a attachment, flushes int) []byte {
	n.gc.RLock()
	defer n.gc.RUnlock()
	k.adds.Add(1)
	losses := n.lostLeases.Load()
	out, err := k.call(n, "ADD", a, k.enemy())
	if err != nil {
		return nil
	}
	k.attached.Add(1)
	var res types100.Result
	if err := json.Unmarshal(out, &res); err != nil {
		k.violated("%s: %v: %s", a.id, err, out)
		return nil
	}
	var addrs []string
	for _, ip := range res.IPs {
		addrs = append(addrs, ip.Address.IP.String())
	}
	k.claim(n, a, addrs, flushes, losses)
	return out
}

// live is the time in between: the container reaches its gateway, and CHECK agrees
// unless the rules were lost.
func (k *worker) live(n *network, a attachment, result []byte, flushes int) error {
	if k.rng.IntN(3) == 0 {
		if _, err := k.box.Ping(n.gateway, 20*time.Second); err != nil {
			return fmt.Errorf("%s in %s: %w", a.id, n.name, err)
		}
		k.pings.Add(1)
	}
	if k.rng.IntN(3) == 0 {
		k.checks.Add(1)
		out, err := k.check(n, a, result)
		if err != nil && unflushed(flushes, k.flushes()) && strings.Contains(string(out), `"code":103`) {
			return fmt.Errorf("%s in %s: CHECK: %s", a.id, n.name, out)
		}
	}
	time.Sleep(time.Duration(k.rng.IntN(300)) * time.Millisecond)
	return nil
}

// detach repeats DEL until it has worked once undisturbed, as runtimes do, perhaps
// after the container's end.
func (k *worker) detach(n *network, a attachment, result []byte) error {
	k.waive(a)
	if k.rng.IntN(4) == 0 {
		if err := k.box.Close(); err != nil {
			return err
		}
		k.box = nil
	}
	var out []byte
	var err error
	how := k.enemy()
	for range 5 {
		k.dels.Add(1)
		if out, err = k.del(n, a, result, how); err == nil {
			return nil
		}
		how = calm
	}
	return fmt.Errorf("%s in %s: DEL: %w: %s", a.id, n.name, err, out)
}

func (k *worker) collect(n *network) {
	n.gc.Lock()
	defer n.gc.Unlock()
	k.gcs.Add(1)
	how := k.enemy()
	if out, err := k.call(n, "GC", attachment{}, how); err != nil && how == calm && !k.diskFull.Load() {
		k.violated("GC of %s: %v: %s", n.name, err, out)
	}
}
