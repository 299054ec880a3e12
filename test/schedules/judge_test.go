package schedules

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
)

// everything is the host, the containers and the leases.
func (r *room) everything() snapshot.Snapshot {
	r.t.Helper()
	full, err := snapshot.Take(r.Host.NS, r.Data())
	r.Must(err)
	for id, box := range r.boxes {
		inside, err := snapshot.TakeInside(box.NS)
		r.Must(err)
		for key, text := range inside {
			// ADD makes this setting for all links of the namespace; it goes with the namespace.
			if key != "sysctl net/ipv4/conf/all/accept_redirects" {
				full["container "+id+" "+key] = text
			}
		}
	}
	return full
}

// state is everything less what is kept by design, and what the kernel adds some time later.
func (r *room) state() snapshot.Snapshot {
	r.t.Helper()
	full := r.everything().WithoutBookkeeping()
	return full.Without(func(key string) bool {
		anycast := strings.HasPrefix(key, "route ") && strings.HasPrefix(full[key], "type 4 ")
		return anycast || strings.Contains(key, "fe80::") || strings.Contains(key, "ff00::/8")
	})
}

func (r *room) settled() snapshot.Snapshot {
	r.t.Helper()
	state, err := snapshot.Rest(10*time.Second, func() (snapshot.Snapshot, error) { return r.state(), nil })
	r.Must(err)
	return state
}

// until waits for a state that is as it should be. What was left stays left, so waiting
// hides nothing. It returns what the state still lacks.
func (r *room) until(good func(snapshot.Snapshot) []string) []string {
	r.t.Helper()
	pause := 5 * time.Millisecond
	for end := time.Now().Add(tries); ; pause *= 2 {
		lack := good(r.state())
		if len(lack) == 0 || time.Now().After(end) {
			return lack
		}
		time.Sleep(pause)
	}
}

// answered says how a verb ended, in a word; "" for an answer that no runtime can read.
func answered(v verb, exit int, stdout, stderr []byte) string {
	if strings.Contains(string(stderr), "goroutine ") || exit < 0 {
		return ""
	}
	if exit == 0 {
		return "ok"
	}
	if v.operated() {
		return fmt.Sprint("status ", exit)
	}
	var wire struct {
		Code uint
		Msg  string
	}
	if json.Unmarshal(stdout, &wire) != nil || wire.Code == 0 || wire.Msg == "" {
		return ""
	}
	return fmt.Sprint("error ", wire.Code)
}

// answers are both verbs'.
func (r *room) answers(o outcome) (words [2]string) {
	for i, v := range r.pair.verbs {
		words[i] = answered(v, o.answers[i].Exit, o.answers[i].Stdout, o.answers[i].Stderr)
	}
	return words
}

func digest(words [2]string, state snapshot.Snapshot) string {
	h := sha256.New()
	fmt.Fprintln(h, words)
	for _, key := range slices.Sorted(maps.Keys(state)) {
		fmt.Fprintln(h, key, state[key])
	}
	return string(h.Sum(nil))
}

// judge says what is wrong with an outcome. Then it takes everything back, which must lead to
// the beginning.
func (r *room) judge(o outcome, s *schedule, order string) error {
	r.t.Helper()
	words := r.answers(o)
	var wrong error
	for i, v := range r.pair.verbs {
		if words[i] == "" && !o.answers[i].Hit {
			wrong = errors.Join(wrong, fmt.Errorf("%s: exit status %d: %s%s", v, o.answers[i].Exit, o.answers[i].Stdout, o.answers[i].Stderr))
		}
	}
	if s.deadlock {
		wrong = errors.Join(wrong, errors.New("each waited for the other's lock"))
	}
	killed := o.answers[0].Hit || o.answers[1].Hit
	key := ""
	switch {
	case order != "": // one after the other: what comes of it is what may come of the schedules
		key = digest(words, o.state)
		r.outcomes[key] = order
		wrong = errors.Join(wrong, r.promises(o, words))
	case killed || r.pair.loose != "" || foreign != "":
		key = digest(words, r.everything())
		if !r.fine[key] {
			wrong = errors.Join(wrong, r.promises(o, words))
		}
		// Names and MACs of other plugins' links are chance: their states can't be compared.
		if foreign != "" && r.pair.loose == "" && words != r.answers(r.serial[0]) && words != r.answers(r.serial[1]) {
			wrong = errors.Join(wrong, fmt.Errorf("neither order is answered %q", words))
		}
	default:
		lack := r.until(func(state snapshot.Snapshot) []string {
			key = digest(words, state)
			if r.outcomes[key] != "" {
				return nil
			}
			return r.nearest(words, state)
		})
		if len(lack) > 0 {
			wrong = errors.Join(wrong, fmt.Errorf("neither order ends so: %s", snapshot.Shown(lack)))
		}
	}
	if wrong != nil {
		_ = r.takeBack() // the next schedule has another room
		return wrong
	}
	if err := r.takeBack(); err != nil {
		return fmt.Errorf("taking back: %w", err)
	}
	if !r.fine[key] {
		if lack := r.until(func(state snapshot.Snapshot) []string { return snapshot.Diff(r.before, state) }); len(lack) > 0 {
			return fmt.Errorf("after all was taken back: %s", snapshot.Shown(lack))
		}
	}
	r.fine[key] = true
	return r.afresh()
}

// nearest is how the state differs from the order's that it is nearest to.
func (r *room) nearest(words [2]string, state snapshot.Snapshot) []string {
	var best []string
	for i, serial := range r.serial {
		lack := snapshot.Diff(serial.state, state)
		if w := r.answers(serial); w != words {
			lack = append([]string{fmt.Sprintf("answers %q, in order %d %q", words, i+1, w)}, lack...)
		}
		if best == nil || len(lack) < len(best) {
			best = lack
		}
	}
	return best
}

// promises are those of an attachment that is there: CHECK finds it whole.
func (r *room) promises(o outcome, words [2]string) (err error) {
	live := make(map[string]attachment)
	if r.neighbour != nil && !r.pair.broken {
		live[r.neighbour.id] = *r.neighbour
	}
	if !r.pair.broken && r.pair.until == 0 {
		for _, x := range r.pair.before {
			live[x.id] = x
		}
	}
	for i, v := range r.pair.verbs {
		if v.name == "ADD" && words[i] == "ok" && (v.plugin == len(v.of.network.plugins(r))-1) {
			live[v.of.id] = v.of
		}
	}
	for _, v := range r.pair.verbs { // whatever is being removed need not be whole
		switch v.name {
		case "DEL":
			delete(live, v.of.id)
		case "GC":
			for id, x := range live {
				kept := slices.ContainsFunc(v.keep, func(k attachment) bool { return k.id == id })
				if x.network.name == v.of.network.name && !kept && (r.neighbour == nil || id != r.neighbour.id) {
					delete(live, id)
				}
			}
		}
	}
	if r.pair.loose == sameContainer {
		delete(live, r.pair.verbs[0].of.id)
	}
	for _, id := range slices.Sorted(maps.Keys(live)) {
		x := live[id]
		for i := range x.network.plugins(r) {
			if _, cerr := r.call("CHECK", x, i); cerr != nil {
				err = errors.Join(err, cerr)
			}
		}
	}
	return err
}

// afresh removes what keeps addresses from being chosen as in the first schedule.
func (r *room) afresh() error {
	if r.pair.verbs[0].of.address > 0 || r.pair.verbs[0].of.id == "" {
		return nil
	}
	if err := errors.Join(os.RemoveAll(r.Data()), os.MkdirAll(r.Data(), 0o755)); err != nil {
		return err
	}
	if r.neighbour != nil {
		return r.addAll(*r.neighbour, 0)
	}
	return nil
}

// breakRules deletes what repair is to put back.
func (r *room) breakRules() {
	r.t.Helper()
	stage.Rules(r.Host, func(c *nftables.Conn) error {
		c.DelTable(stage.NAT)
		return nil
	})
}

// mend puts back the neighbour's rules.
func (r *room) mend() error { return r.operate(repair) }

// operate runs a sub-command of bridgeport, which must work.
func (r *room) operate(v verb) error {
	run := r.run(v)
	var out trace.Outcome
	err := r.Host.Do(func() (err error) {
		out, err = run.Do()
		return err
	})
	if err == nil && out.Exit != 0 {
		err = fmt.Errorf("%s: exit status %d: %s%s", v, out.Exit, out.Stdout, out.Stderr)
	}
	return err
}

func (v verb) String() string { return strings.TrimSpace(v.name + " " + v.of.id) }
