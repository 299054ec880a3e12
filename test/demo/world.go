package main

import (
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
)

// The addresses of the exercise. Those of the containers follow from the
// configuration: host-local hands out the first free one.
const (
	subnet      = "192.168.15.0/24"
	bridgeAddr  = "192.168.15.5"
	redAddr     = "192.168.15.1"
	blueAddr    = "192.168.15.2"
	uplinkAddr  = "192.168.1.2"
	outsideAddr = "192.168.1.3"
)

const (
	bridgeLink = "v-net-0"
	eth        = "eth0"
	// leaseDir and cacheDir lie in the demo's own /var/lib and /run.
	leaseDir = "/var/lib/cni/networks"
	cacheDir = "/run/cni"
	// patience is for everything that should be answered: far above what it takes.
	patience = 2 * time.Second
)

// world is everything that the steps work on.
type world struct {
	host, outside, red, blue *stage.Space
	net                      *stage.Network
	before                   snapshot.Snapshot
	server                   *stage.Server // in blue, since step 5
}

// newWorld makes the spaces, and wires host and outside. outside gets no route to
// the containers' subnet, as a router on the internet has none.
func newWorld(o options) (*world, error) {
	conflist, err := os.ReadFile(o.conf)
	if err != nil {
		return nil, err
	}
	w := &world{}
	for name, space := range map[string]**stage.Space{"host": &w.host, "outside": &w.outside, "red": &w.red, "blue": &w.blue} {
		if *space, err = stage.NewSpace(name); err != nil {
			return nil, errors.Join(err, w.close())
		}
	}
	err = stage.Wire(w.host, "uplink", uplinkAddr+"/24", w.outside, eth, outsideAddr+"/24")
	if err == nil {
		w.net, err = w.host.Network(conflist, o.bin, cacheDir)
	}
	if err == nil {
		w.before, err = w.snapshot()
	}
	if err != nil {
		return nil, errors.Join(err, w.close())
	}
	return w, nil
}

func (w *world) close() error {
	var errs []error
	if w.server != nil {
		errs = append(errs, w.server.Close())
	}
	for _, s := range []*stage.Space{w.red, w.blue, w.outside, w.host} {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

// snapshot is the state of the host, less the bookkeeping that host-local keeps on
// purpose: the lock file, the last address handed out and its index.
func (w *world) snapshot() (snapshot.Snapshot, error) {
	all, err := snapshot.Take(w.host.NS, leaseDir)
	if err != nil {
		return nil, err
	}
	return all.WithoutKept(), nil
}

// ports are the published ports of a container, as a runtime tells them.
func (w *world) ports(s *stage.Space) []map[string]any {
	if s != w.blue {
		return nil
	}
	return []map[string]any{{"hostPort": 80, "containerPort": 80, "protocol": "tcp"}}
}

// add attaches a container and checks the outcome; nil if it could not be attached.
func (w *world) add(p *page, s *stage.Space) *types100.Result {
	start := time.Now()
	result, err := w.net.Add(s.Name, s.Path, eth, w.ports(s))
	took := time.Since(start)
	if err == nil && len(result.IPs) == 0 {
		err = errors.New("the result holds no address")
	}
	if err != nil {
		p.check("ADD "+s.Name, "", err)
		return nil
	}
	p.check("ADD "+s.Name, fmt.Sprintf("%s, gateway %v, in %s", &result.IPs[0].Address, result.IPs[0].Gateway, ms(took)), nil)
	return result
}
