package main

import (
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"
)

const (
	partVerbs   = "verbs"
	partStorm   = "storm"
	partDual    = "dual stack"
	partMemory  = "memory"
	partSystem  = "system calls"
	partExecs   = "execs"
	crowd       = 50
	measuredNo  = 2000                 // numbers of measured attachments begin here
	pause       = 3 * time.Millisecond // for what the kernel does after a verb
	growthPause = 3 * time.Second      // for neighbour discovery of many new links
	containers  = 8
	// processStart is the only verb of the program that does nothing.
	processStart = "start"
)

// verbsOf are the verbs that make sense for a host; the floors are no plugins.
func (h *host) verbsOf() []string {
	switch h.name {
	case floorName:
		return []string{"ADD", "DEL"}
	case emptyName:
		return []string{processStart}
	}
	return append(append([]string{}, verbs...), "VERSION", "STATUS")
}

// verbs measures the life of one attachment among none, some and many others, and at
// some of these sizes many lives at once.
func (r *rig) verbs() error {
	var hosts []*host
	again := ours[1]
	again.name = controlName
	for _, v := range append(append(append([]variant{}, references...), ours...), again) {
		h, err := r.newHost(v, "verbs", false)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	floor, err := r.newFloorHost("verbs")
	if err != nil {
		return err
	}
	empty := &host{variant: variant{name: emptyName}, rig: r, space: floor.space}
	for _, n := range r.scope.existing {
		for _, h := range append(hosts, floor) {
			progress("%d attachments: %s", n, h.name)
			if err := h.grow(n, existingPorts); err != nil {
				return err
			}
		}
		if n > 0 {
			time.Sleep(growthPause)
		}
		progress("%d attachments: each verb", n)
		if err := r.lives(partVerbs, n, r.scope.rounds(n), append(hosts, floor, empty), 1, 5); err != nil {
			return err
		}
		if n == 0 {
			if err := r.trace(hosts[:len(hosts)-1]); err != nil {
				return err
			}
		}
		if err := r.storms(n, append(hosts[:len(hosts)-1:len(hosts)-1], floor)); err != nil {
			return err
		}
	}
	return nil
}

// lives measures whole lives of attachments, round after round.
func (r *rig) lives(part string, n, rounds int, hosts []*host, ports ...int) error {
	for round := range rounds + 1 {
		if err := r.round(part, n, round, hosts, ports...); err != nil {
			return err
		}
	}
	return nil
}

// round is one life on each host, the hosts in another order each round. Round 0 is not
// counted: it makes the bridge, the base chains and what else is made once.
func (r *rig) round(part string, n, round int, hosts []*host, ports ...int) error {
	for i := range hosts {
		h := hosts[(i+round)%len(hosts)]
		for _, p := range ports {
			c, err := h.container(round % containers)
			if err != nil {
				return err
			}
			a := attachment{number: measuredNo + round, netns: c.Path, ports: p}
			for _, verb := range h.verbsOf() {
				m, err := h.call(verb, a)
				if err != nil {
					return err
				}
				if round > 0 {
					r.results.cost(key{part, h.name, verb, n, p}, m)
				}
				time.Sleep(pause)
			}
		}
	}
	return nil
}

// storms measures many ADDs at once, then as many DELs.
func (r *rig) storms(n int, hosts []*host) error {
	for round := range r.scope.storms(n) {
		for i := range hosts {
			h := hosts[(i+round)%len(hosts)]
			progress("%d attachments: %d at once: %s", n, crowd, h.name)
			for _, verb := range []string{"ADD", "DEL"} {
				if err := r.storm(n, h, verb); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

func (r *rig) storm(n int, h *host, verb string) error {
	all := make([]attachment, crowd)
	for i := range all {
		c, err := h.container(i)
		if err != nil {
			return err
		}
		all[i] = attachment{number: measuredNo + i, netns: c.Path, ports: 1}
	}
	meters, errs := make([]*meter, crowd), make([]error, crowd)
	var start, done sync.WaitGroup
	start.Add(1)
	for i := range all {
		done.Go(func() {
			start.Wait()
			meters[i], errs[i] = h.call(verb, all[i])
		})
	}
	begin := time.Now()
	start.Done()
	done.Wait()
	total := &meter{spent: spent{Wall: time.Since(begin)}}
	for i, m := range meters {
		if errs[i] != nil {
			return errs[i]
		}
		total.spent.CPU += m.spent.CPU
	}
	r.results.cost(key{partStorm, h.name, verb, n, 1}, total)
	time.Sleep(100 * time.Millisecond)
	return nil
}

// trace counts system calls and started programs of each verb, and weighs the processes;
// on runs of their own, since strace slows what it looks at.
func (r *rig) trace(hosts []*host) error {
	progress("system calls and memory")
	file := filepath.Join(r.dir, "look")
	for _, h := range hosts {
		c, err := h.container(0)
		if err != nil {
			return err
		}
		a := attachment{number: measuredNo, netns: c.Path, ports: 1}
		for _, verb := range verbs {
			k := key{partSystem, h.name, verb, 0, 1}
			_ = os.Remove(file)
			if _, err := h.call(verb, a, "strace", "-f", "-qq", "-A", "-c", "-o", file); err != nil {
				return err
			}
			calls, execs, err := countCalls(file)
			if err != nil {
				return err
			}
			r.results.value(k, float64(calls))
			k.Part = partExecs
			r.results.value(k, float64(execs))
		}
		for _, verb := range verbs {
			_ = os.Remove(file)
			if _, err := h.call(verb, a, r.floor, "weigh", file); err != nil {
				return err
			}
			text, err := os.ReadFile(file)
			if err != nil {
				return err
			}
			for line := range strings.Lines(string(text)) {
				kib, err := strconv.Atoi(strings.TrimSpace(line))
				if err != nil {
					return err
				}
				r.results.value(key{partMemory, h.name, verb, 0, 1}, float64(kib)/1024)
			}
		}
	}
	return nil
}

// countCalls adds up tables of `strace -c`: "  0.00    0.000000           0        12         3 openat".
func countCalls(file string) (calls, execs int, err error) {
	text, err := os.ReadFile(file)
	if err != nil {
		return 0, 0, err
	}
	for line := range strings.Lines(string(text)) {
		fields := strings.Fields(line)
		if len(fields) < 5 || len(fields) > 6 {
			continue
		}
		n, err := strconv.Atoi(fields[3])
		name := fields[len(fields)-1]
		if err != nil || name == "total" {
			continue
		}
		calls += n
		if name == "execve" {
			execs += n
		}
	}
	if calls == 0 {
		return 0, 0, fmt.Errorf("no system calls in: %s", text)
	}
	return calls, execs, nil
}

// dual measures lives with an address of each family.
func (r *rig) dual() error {
	progress("dual stack")
	var hosts []*host
	for _, v := range append(append([]variant{}, references...), ours...) {
		h, err := r.newHost(v, "dual", true)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	return r.lives(partDual, 0, r.scope.burdens, hosts, 1)
}
