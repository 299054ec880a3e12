package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os/exec"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const streamSeconds = 1

// throughput measures one TCP stream by iperf3: container to container, and container
// to outside.
func (r *rig) throughput() error {
	var hosts []*dataHost
	peers := make(map[*dataHost]tenant)
	spaces := make(map[*dataHost]*stage.Space)
	for _, v := range append(append([]variant{}, references...), ours[0]) {
		h, err := r.newDataHost(v, "streams")
		if err != nil {
			return err
		}
		if peers[h], err = h.addExisting(1); err != nil {
			return err
		}
		spaces[h] = h.last
		if err := h.publish(1); err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	for round := range r.scope.streams {
		progress("throughput, round %d", round+1)
		for i := range hosts {
			h := hosts[(i+round)%len(hosts)]
			for _, way := range []struct {
				what, addr string
				server     *stage.Space
			}{
				{"container to container", peers[h].addr.String(), spaces[h]},
				{"container to outside", outAddr, h.outside},
			} {
				bits, err := stream(h.inside, way.server, way.addr)
				if err != nil {
					return fmt.Errorf("%s: %s: %w", h.name, way.what, err)
				}
				r.results.value(key{partStreams, h.name, way.what, 0, 0}, bits/1e9)
			}
		}
	}
	return nil
}

// stream returns bits per second as the receiver saw them.
func stream(client, server *stage.Space, addr string) (float64, error) {
	listen := exec.Command("iperf3", "--server")
	if err := server.Do(listen.Start); err != nil {
		return 0, fmt.Errorf("iperf3 is needed: run `make bench`: %w", err)
	}
	defer func() { _ = listen.Process.Kill(); _ = listen.Wait() }()
	var bits float64
	var err error
	for range 100 { // until the server listens
		run := exec.Command("iperf3", "--client", addr, "--time", fmt.Sprint(streamSeconds), "--json")
		err = client.Do(func() error {
			out, err := run.Output()
			bits, err = received(out, err)
			return err
		})
		if err == nil {
			break
		}
		time.Sleep(20 * time.Millisecond)
	}
	return bits, err
}

func received(out []byte, err error) (float64, error) {
	if err != nil {
		return 0, fmt.Errorf("iperf3: %w: %s", err, out)
	}
	var told struct {
		End struct {
			Received struct {
				Bits float64 `json:"bits_per_second"`
			} `json:"sum_received"`
		} `json:"end"`
	}
	if err := json.Unmarshal(out, &told); err != nil {
		return 0, err
	}
	if told.End.Received.Bits == 0 {
		return 0, errors.New("iperf3 moved nothing")
	}
	return told.End.Received.Bits, nil
}
