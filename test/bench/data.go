package main

import (
	"fmt"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	partConnects = "connects"
	partStreams  = "throughput"
	// An attachment of the data plane has five ports, but for the first one alone.
	dataPorts = 5
	hostAddr  = "192.0.2.1"
	outAddr   = "192.0.2.2"
	outPort   = 9000
	inRow     = 1000 // connects one after the other
	atOnce    = 3000 // connects by eight clients
	clients   = 8
)

// dataHost is a host with a neighbour outside.
type dataHost struct {
	*host
	outside *stage.Space
	target  attachment // the last one that was added
	inside  *stage.Space
}

func (r *rig) newDataHost(v variant, label string) (*dataHost, error) {
	h, err := r.newHost(v, label, false)
	if err != nil {
		return nil, err
	}
	d := &dataHost{host: h}
	if d.outside, err = r.newContainer(); err != nil {
		return nil, err
	}
	return d, stage.Wire(h.space, "uplink0", hostAddr+"/24", d.outside, "uplink0", outAddr+"/24")
}

// publish makes the host have n mappings; the target's are the last ones.
func (d *dataHost) publish(n int) error {
	if d.target.netns != "" {
		if _, err := d.call("DEL", d.target); err != nil {
			return err
		}
	}
	ports := min(n, dataPorts)
	if err := d.grow((n-ports)/dataPorts, dataPorts); err != nil {
		return err
	}
	var err error
	if d.inside, err = d.rig.newContainer(); err != nil {
		return err
	}
	d.target = attachment{number: measuredNo, netns: d.inside.Path, ports: ports}
	_, err = d.call("ADD", d.target)
	return err
}

// connects measures new TCP connections through the last of many mappings, and out
// through the masquerade.
func (r *rig) connects() error {
	var hosts []*dataHost
	for _, v := range append(append([]variant{}, references...), ours[0]) {
		h, err := r.newDataHost(v, "data")
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	for _, n := range r.scope.mappings {
		for _, h := range hosts {
			progress("%d mappings: %s", n, h.name)
			if err := h.publish(n); err != nil {
				return err
			}
		}
		time.Sleep(growthPause)
		for round := range r.scope.connects + 1 {
			for i := range hosts {
				if err := r.connect(n, round, hosts[(i+round)%len(hosts)]); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// connect is one round on one host. Round 0 is not counted.
func (r *rig) connect(n, round int, h *dataHost) error {
	in := fmt.Sprintf("%s:%d", hostAddr, h.target.hostPort(h.target.ports-1))
	out := fmt.Sprintf("%s:%d", outAddr, outPort)
	for _, way := range []struct {
		what           string
		client, server *stage.Space
		listen, addr   string
	}{
		{"in", h.outside, h.inside, fmt.Sprintf("0.0.0.0:%d", 80+h.target.ports-1), in},
		{"out", h.inside, h.outside, fmt.Sprintf("0.0.0.0:%d", outPort), out},
	} {
		stop, err := serve(way.server, way.listen)
		if err != nil {
			return err
		}
		for _, load := range []struct {
			what           string
			total, clients int
		}{{"one by one", inRow, 1}, {"eight at once", atOnce, clients}} {
			rate, times, err := connectMany(way.client, way.addr, load.total, load.clients)
			if err != nil {
				stop()
				return fmt.Errorf("%s: %s %s: %w", h.name, way.what, load.what, err)
			}
			if round == 0 {
				continue
			}
			k := key{partConnects, h.name, way.what + ", " + load.what, n, 0}
			r.results.value(k, rate)
			for _, q := range []struct {
				name string
				q    float64
			}{{" p50 µs", 0.5}, {" p99 µs", 0.99}} {
				k.What = way.what + ", " + load.what + q.name
				r.results.value(k, quantile(times, q.q))
			}
		}
		stop()
	}
	return nil
}
