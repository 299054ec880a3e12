package differential

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// rest is how long the kernel may take to finish what a plugin has begun: carrier,
// link-local addresses, links of a dead namespace.
var rest = stage.Slow() * 3 * time.Second

const resolvConf = "# a comment\nnameserver 192.0.2.1\nnameserver 2001:db8::1\ndomain resolv.test\nsearch one.test two.test\noptions timeout:3 rotate\n"

// bench is what all configurations share.
type bench struct {
	reference, ours string // directories of programs
	dir, resolv     string
	list            *intended
	missing         map[feature]bool
}

func TestDifferential(t *testing.T) {
	list, err := readIntended("differences.txt")
	if err != nil {
		t.Fatal(err)
	}
	b := &bench{
		reference: stage.Reference(t, "bridge", "host-local"),
		ours:      stage.Plugins(t, "bridge", "host-local"),
		dir:       t.TempDir(), list: list, missing: lacking(t),
	}
	b.resolv = filepath.Join(b.dir, "resolv.conf")
	if err := os.WriteFile(b.resolv, []byte(resolvConf), 0o644); err != nil {
		t.Fatal(err)
	}
	chosen, complete := choose(all(b.dir))
	configurations := b.present(t, chosen)
	var others atomic.Int64
	t.Run("configurations", func(t *testing.T) { // it returns when all have ended
		for _, c := range configurations {
			t.Run(c.name, func(t *testing.T) {
				t.Parallel()
				for _, line := range b.run(t, c) {
					others.Add(1)
					t.Error(line)
				}
			})
		}
	})
	seen, unused := list.unused(func(f feature) bool { return !b.missing[f] })
	if complete {
		for _, line := range unused {
			t.Errorf("differences.txt: no configuration showed: %s", line)
		}
		if len(configurations) < 60 {
			t.Errorf("only %d configurations", len(configurations))
		}
	}
	summary = fmt.Sprintf("differential: %d configurations, %d intended differences, %d others\n", len(configurations), seen, others.Load())
}

// choose leaves out configurations where DIFFERENTIAL_ONLY, a regular expression of
// names, says so. An incomplete run says nothing of intended differences that it did
// not see.
func choose(list []*configuration) (chosen []*configuration, complete bool) {
	only := os.Getenv("DIFFERENTIAL_ONLY")
	if only == "" {
		return list, stage.Slow() == 1
	}
	pattern := regexp.MustCompile(only)
	return slices.DeleteFunc(list, func(c *configuration) bool { return !pattern.MatchString(c.name) }), false
}

// present leaves out what this machine cannot do, and says so.
func (b *bench) present(t *testing.T, list []*configuration) (rest []*configuration) {
	t.Helper()
	without := make(map[feature]int)
	for _, c := range list {
		if b.missing[c.needs] {
			without[c.needs]++
			continue
		}
		if _, chosen := c.keys["ipMasqBackend"]; c.flag("ipMasq") && !chosen {
			c.keys["ipMasqBackend"] = "nftables"
			if b.missing[nftProgram] {
				// The reference would need iptables: leave its rules out of the comparison.
				delete(c.keys, "ipMasq")
				without[nftProgram]++
			}
		}
		rest = append(rest, c)
	}
	for f, n := range without {
		what := "configurations left out"
		if f == nftProgram {
			what = "configurations compared without ipMasq"
		}
		fmt.Printf("differential: %d %s: missing: %s\n", n, what, f)
	}
	return rest
}

// run gives one configuration to both sides. It returns the differences that nobody meant.
func (b *bench) run(t *testing.T, c *configuration) (others []string) {
	t.Helper()
	twins := [2]*twin{newTwin(t, c, b.reference, b.resolv), newTwin(t, c, b.ours, b.resolv)}
	if c.gc != nil {
		return b.collect(t, twins)
	}
	judge := func(look func(*twin) (facts, error)) { others = append(others, b.judge(c, look, twins)...) }
	both(t, twins, (*twin).attach)
	if twins[1].attached() == c.refused {
		others = append(others, fmt.Sprintf("ours attaches: %t, wanted: %t: %v", twins[1].attached(), !c.refused, twins[1].calls))
	}
	if alike(twins) {
		judge(func(w *twin) (facts, error) { return w.results(), nil })
		judge(func(w *twin) (facts, error) { return w.observe("attached") })
		judge(func(w *twin) (facts, error) { return w.traffic(), nil })
	}
	both(t, twins, (*twin).detach)
	if !alike(twins) {
		// What one side did not get to is nothing to compare.
		judge(func(w *twin) (facts, error) { return w.calls.of("ADD ", "DEL ") })
		return others
	}
	judge(func(w *twin) (facts, error) { return w.calls.of("") })
	judge(func(w *twin) (facts, error) { return w.observe("detached") })
	return others
}

// alike says whether the ADDs ended alike: else there is nothing to compare.
func alike(twins [2]*twin) bool {
	return twins[0].attached() == twins[1].attached()
}

func both(t *testing.T, twins [2]*twin, do func(*twin) error) {
	t.Helper()
	var errs [2]error
	var wait sync.WaitGroup
	for i, w := range twins {
		wait.Go(func() { errs[i] = do(w) })
	}
	wait.Wait()
	if err := errors.Join(errs[:]...); err != nil {
		t.Fatal(err)
	}
}

// judge compares until only intended differences are left, or the kernel has had
// enough time.
func (b *bench) judge(c *configuration, look func(*twin) (facts, error), twins [2]*twin) []string {
	for end := time.Now().Add(rest); ; time.Sleep(100 * time.Millisecond) {
		var seen [2]facts
		for i, w := range twins {
			var err error
			if seen[i], err = look(w); err != nil {
				return []string{err.Error()}
			}
		}
		all := differences(seen[0], seen[1])
		var others []string
		for _, d := range all {
			if !b.list.explain(c.name, d) {
				others = append(others, d)
			}
		}
		if len(others) == 0 || time.Now().After(end) {
			return others
		}
	}
}

// lacking finds out what this machine does not have.
func lacking(t *testing.T) map[feature]bool {
	t.Helper()
	missing := make(map[feature]bool)
	for program, f := range map[string]feature{"nft": nftProgram, "iptables": iptables} {
		_, err := exec.LookPath(program)
		missing[f] = err != nil
	}
	missing[vlanFiltering] = !stage.Bare(t).HasVlans()
	return missing
}
