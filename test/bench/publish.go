package main

import (
	"fmt"
	"os/exec"
	"path/filepath"
	"time"
)

const (
	partPublish     = "publish"
	publishVerb     = "publish"
	unpublishVerb   = "unpublish"
	commandStart    = "bridgeport --version"
	publishedByHand = 9000
)

// rest waits after a deletion of rules: until then the kernel may hold the rules' lock for it
// (nft_rcv_nl_event, RCU), whoever comes next. The processor does not fall asleep.
func (r *rig) rest() error {
	for begin := time.Now(); time.Since(begin) < 40*time.Millisecond; {
		if err := exec.Command(r.empty).Run(); err != nil {
			return err
		}
	}
	return nil
}

// byHand measures `bridgeport publish` and `unpublish`, of a running container, and the command's own start.
func (r *rig) byHand() error {
	h, err := r.newHost(ours[1], "publish", false)
	if err != nil {
		return err
	}
	c, err := h.container(0)
	if err != nil {
		return err
	}
	a := attachment{netns: c.Path, ports: 1}
	if _, err := h.call("ADD", a); err != nil {
		return err
	}
	name := networkName + "/" + a.id()
	for round := range r.scope.lists + 1 {
		for _, args := range [][]string{
			{publishVerb, name, fmt.Sprint(publishedByHand+round, ":80")}, {unpublishVerb, name, fmt.Sprint(publishedByHand + round)}, {"--version"},
		} {
			m, err := h.command(args)
			if err != nil {
				return err
			}
			verb := args[0]
			if len(args) == 1 {
				verb = commandStart
			}
			if round > 0 {
				r.results.cost(key{partPublish, h.name, verb, 1, 1}, m)
			}
		}
	}
	_, err = h.call("DEL", a)
	return err
}

// command runs bridgeport on the host, after a rest.
func (h *host) command(args []string) (*meter, error) {
	if err := h.rig.rest(); err != nil {
		return nil, err
	}
	place := []string{"--data-dir", h.leases(), "--cache-dir", filepath.Join(h.dir, "cache"), "--conf-dir", h.dir}
	return h.measured("bridgeport", exec.Command(filepath.Join(h.bin, "bridgeport"), append(place, args...)...))
}
