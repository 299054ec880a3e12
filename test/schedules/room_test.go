package schedules

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// room is a host on which the two verbs of a pair meet, time and again.
type room struct {
	*stage.Stage
	t         *testing.T
	pair      pair
	boxes     map[string]*stage.Space // by container
	neighbour *attachment             // nil in a cold pair
	results   map[string]json.RawMessage
	before    snapshot.Snapshot
	serial    []outcome         // of the two orders
	outcomes  map[string]string // of the two orders, and which it was
	fine      map[string]bool   // outcomes after which everything was taken back
}

// outcome is what came of two verbs.
type outcome struct {
	answers [2]trace.Outcome
	state   snapshot.Snapshot
}

const tries = 3 * time.Second

func newRoom(t *testing.T, p pair) *room {
	t.Helper()
	r := &room{
		Stage: stage.Bare(t), t: t, pair: p, boxes: make(map[string]*stage.Space), results: make(map[string]json.RawMessage),
		outcomes: make(map[string]string), fine: make(map[string]bool),
	}
	if foreign != "" {
		r.Bin = foreign
	}
	r.Must(errors.Join(os.MkdirAll(r.Data(), 0o755), os.MkdirAll(r.cache(), 0o755), os.MkdirAll(r.conf(), 0o755)))
	for _, a := range r.attachments() {
		r.box(a)
	}
	if !p.cold {
		first := p.verbs[0].of
		if len(p.before) > 0 {
			first = p.before[0]
		}
		r.neighbour = &attachment{"neighbour", first.network, 11, 8011}
		if first.address == 0 {
			r.neighbour.address = 0
		}
		r.box(*r.neighbour)
		r.Must(r.addAll(*r.neighbour, 0))
		r.rehearse()
	}
	r.before = r.settled()
	return r
}

// rehearse makes and removes an attachment of each network: what is shared has what it brings about.
func (r *room) rehearse() {
	r.t.Helper()
	networks := make(map[string]bool)
	for _, a := range r.attachments() {
		if a.address > 0 && !networks[a.network.name] {
			networks[a.network.name] = true
			r.Must(r.addAll(a, 0))
			r.Must(r.delAll(a))
		}
	}
}

func (r *room) box(a attachment) *stage.Space {
	if r.boxes[a.id] == nil {
		r.boxes[a.id] = r.QuietSpace(a.id)
	}
	return r.boxes[a.id]
}

// attachments are all that the pair may make.
func (r *room) attachments() []attachment {
	list := slices.Clone(r.pair.before)
	for _, v := range r.pair.verbs {
		if v.of.id != "" && !slices.ContainsFunc(list, func(a attachment) bool { return a.id == v.of.id }) {
			list = append(list, v.of)
		}
	}
	return list
}

func (r *room) cache() string { return filepath.Join(r.Dir, "cache") }
func (r *room) conf() string  { return filepath.Join(r.Dir, "conf") }

// complete is a plugin's configuration as a runtime hands it over.
func (r *room) complete(a attachment, plugin int) stage.Conf {
	c := a.network.plugins(r)[plugin]
	c = c.With(stage.Conf{"cniVersion": "1.1.0", "name": a.network.name, "runtimeConfig": r.capabilities(a, c)})
	if previous := r.results[a.id]; previous != nil {
		c["prevResult"] = previous
	}
	return c
}

func (r *room) capabilities(a attachment, c stage.Conf) stage.Conf {
	rt := stage.Conf{}
	if a.address > 0 && c["ipam"] != nil {
		for _, set := range c["ipam"].(stage.Conf)["ranges"].([][]stage.Conf) {
			subnet := set[0]["subnet"].(string)
			net, length, _ := strings.Cut(subnet, "/")
			ips, _ := rt["ips"].([]string)
			rt["ips"] = append(ips, fmt.Sprint(strings.TrimSuffix(strings.TrimSuffix(net, "0"), ":")+separator(net), a.address, "/", length))
		}
	}
	if capabilities, _ := c["capabilities"].(stage.Conf); capabilities["portMappings"] == true && a.port > 0 {
		rt["portMappings"] = []stage.Conf{{"hostPort": a.port, "containerPort": 80, "protocol": "tcp"}}
	}
	return rt
}

// separator is what stands between the network's part of an address and the container's.
func separator(net string) string {
	if strings.Contains(net, ":") {
		return ":"
	}
	return ""
}

// call runs one verb of one plugin, alone.
func (r *room) call(name string, a attachment, plugin int) ([]byte, error) {
	c := r.complete(a, plugin)
	answer, err := r.Host.CNI(r.Bin, r.calling(name, a, c))
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("%s %s %s: %s%s", c.Plugin(), name, a.id, answer.Stdout, answer.Stderr)
	}
	return answer.Stdout, err
}

func (r *room) calling(name string, a attachment, c stage.Conf) stage.Call {
	call := stage.Call{Plugin: c.Plugin(), Command: name, Config: c.Stdin()}
	if name != "GC" {
		call.ContainerID, call.Netns, call.IfName = a.id, r.boxes[a.id].Path, "eth0"
	}
	return call
}

// addAll is ADD of so many plugins; 0 is all.
func (r *room) addAll(a attachment, until int) error {
	delete(r.results, a.id)
	count := len(a.network.plugins(r))
	if until > 0 {
		count = until
	}
	for i := range count {
		out, err := r.call("ADD", a, i)
		if err != nil {
			return err
		}
		r.results[a.id] = out
	}
	return r.remember(a)
}

// delAll is DEL of each plugin, as a runtime does it in the end.
func (r *room) delAll(a attachment) (err error) {
	for i := len(a.network.plugins(r)) - 1; i >= 0; i-- {
		if _, derr := r.call("DEL", a, i); err == nil {
			err = derr
		}
	}
	delete(r.results, a.id)
	if rerr := os.Remove(r.entry(a)); !errors.Is(rerr, os.ErrNotExist) {
		err = errors.Join(err, rerr)
	}
	return err
}

// entry is the file in which libcni remembers an attachment.
func (r *room) entry(a attachment) string {
	return filepath.Join(r.cache(), "results", fmt.Sprintf("%s-%s-eth0", a.network.name, a.id))
}

// remember is what libcni does after ADD; repair reads it.
func (r *room) remember(a attachment) error {
	list := a.network.plugins(r)
	capabilities := stage.Conf{}
	for i, c := range list {
		list[i] = c.With(stage.Conf{"name": nil})
		maps.Copy(capabilities, r.capabilities(a, c))
	}
	conf := stage.Encode(stage.Conf{"cniVersion": "1.1.0", "name": a.network.name, "plugins": list})
	entry := stage.Encode(stage.Conf{
		"kind": "cniCacheV1", "containerId": a.id, "config": conf, "ifName": "eth0", "networkName": a.network.name,
		"netns": r.boxes[a.id].Path, "capabilityArgs": capabilities, "result": r.results[a.id],
	})
	return errors.Join(os.MkdirAll(filepath.Dir(r.entry(a)), 0o755), os.WriteFile(r.entry(a), entry, 0o600))
}

// prepare brings the room to where the verbs meet.
func (r *room) prepare() {
	r.t.Helper()
	for _, x := range r.pair.before {
		r.Must(r.addAll(x, r.pair.until))
	}
	if r.pair.broken {
		r.breakRules()
	}
	for _, x := range r.pair.hand {
		r.Must(r.operate(publish(x)))
	}
}

// perform runs both verbs by the schedule.
func (r *room) perform(s *schedule, reads bool) (outcome, error) {
	var out outcome
	var errs [2]error
	var group sync.WaitGroup
	for i, v := range r.pair.verbs {
		run := r.run(v)
		run.Reads, run.Turns = reads, program{s, i}
		if r.pair.slow || foreign != "" {
			run.Apart = byXtables
		}
		group.Go(func() {
			defer program{s, i}.end()
			errs[i] = r.Host.Do(func() (err error) {
				out.answers[i], err = run.Do()
				return err
			})
		})
	}
	group.Wait()
	for i, v := range r.pair.verbs {
		if v.name == "ADD" && out.answers[i].Exit == 0 {
			r.results[v.of.id] = out.answers[i].Stdout
		}
	}
	return out, errors.Join(errs[:]...)
}

// byXtables are the effects of iptables programs: each call of them is one step.
func byXtables(e trace.Effect) bool {
	return strings.HasPrefix(e.Program, "xtables") || strings.HasPrefix(e.Program, "ip")
}

func (r *room) run(v verb) trace.Run {
	if v.operated() {
		args := []string{"--bin-dir", r.Bin, "--cache-dir", r.cache(), "--conf-dir", r.conf(), "--data-dir", r.Data(), v.name}
		switch v.name {
		case "publish":
			args = append(args, v.of.network.name+"/"+v.of.id, fmt.Sprint(handPort, ":80"))
		case "unpublish":
			args = append(args, v.of.network.name+"/"+v.of.id, fmt.Sprint(handPort))
		}
		return trace.Run{Path: filepath.Join(r.Bin, "bridgeport"), Args: args, Env: os.Environ()}
	}
	c := r.complete(v.of, v.plugin)
	if v.name == "GC" {
		c = c.With(stage.Conf{"runtimeConfig": nil, "cni.dev/valid-attachments": r.valid(v.keep)})
	}
	return trace.Run{Path: filepath.Join(r.Bin, c.Plugin()), Stdin: c.Stdin(), Env: r.calling(v.name, v.of, c).Environ(r.Bin)}
}

// valid is the list that GC is given.
func (r *room) valid(keep []attachment) []stage.Conf {
	if r.neighbour != nil {
		keep = append(slices.Clone(keep), *r.neighbour)
	}
	list := make([]stage.Conf, len(keep))
	for i, x := range keep {
		list[i] = stage.Conf{"containerID": x.id, "ifname": "eth0"}
	}
	return list
}

// takeBack is what a runtime does in the end: DEL of everything, and GC on an empty host.
func (r *room) takeBack() (err error) {
	networks := make(map[string]attachment)
	for _, x := range r.attachments() {
		err = errors.Join(err, r.delAll(x))
		networks[x.network.name] = x
	}
	for _, v := range r.pair.verbs {
		if v.name == "GC" {
			networks[v.of.network.name] = v.of
		}
	}
	if r.pair.broken {
		err = errors.Join(err, r.mend())
	}
	if r.neighbour == nil {
		for _, name := range slices.Sorted(maps.Keys(networks)) {
			x := networks[name]
			for i := range x.network.plugins(r) {
				_, gerr := r.collect(x.network, i)
				err = errors.Join(err, gerr)
			}
		}
	}
	return err
}

func (r *room) collect(n network, plugin int) ([]byte, error) {
	run := r.run(verb{name: "GC", plugin: plugin, of: attachment{network: n}})
	answer, err := r.Host.CNI(r.Bin, stage.Call{Plugin: filepath.Base(run.Path), Command: "GC", Config: run.Stdin})
	if err == nil && answer.Exit != 0 {
		err = fmt.Errorf("GC: %s%s", answer.Stdout, answer.Stderr)
	}
	return answer.Stdout, err
}
