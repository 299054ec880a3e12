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
	"testing"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// atOnce is how many configurations run at the same time: most of the time goes into
// the reference's sleeps and the kernel's waits.
const atOnce = 6

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
	others := b.runAll(configurations)
	n := 0
	for i, c := range configurations {
		n += len(others[i])
		t.Run(c.name, func(t *testing.T) {
			for _, line := range others[i] {
				t.Error(line)
			}
		})
	}
	seen, unused := list.unused(func(f feature) bool { return !b.missing[f] })
	if complete {
		for _, line := range unused {
			t.Errorf("differences.txt: no configuration showed: %s", line)
		}
		if len(configurations) < 60 {
			t.Errorf("only %d configurations", len(configurations))
		}
	}
	summary = fmt.Sprintf("differential: %d configurations, %d intended differences, %d others\n", len(configurations), seen, n)
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

// runAll returns the differences of each configuration that nobody meant.
func (b *bench) runAll(list []*configuration) [][]string {
	others := make([][]string, len(list))
	slots := make(chan struct{}, atOnce)
	var wait sync.WaitGroup
	for i, c := range list {
		slots <- struct{}{}
		wait.Go(func() {
			defer func() { <-slots }()
			lines, err := b.run(i, c)
			if err != nil {
				lines = append(lines, err.Error())
			}
			others[i] = lines
		})
	}
	wait.Wait()
	return others
}

// run gives one configuration to both sides.
func (b *bench) run(i int, c *configuration) (others []string, err error) {
	var twins [2]*twin
	for j, bin := range []string{b.reference, b.ours} {
		prefix := fmt.Sprintf("d%d%c", i, 'r'+rune(j)) // r and s
		w, err := newTwin(c, prefix, bin, filepath.Join(b.dir, prefix), b.resolv)
		if err != nil {
			return nil, err
		}
		defer func() { err = errors.Join(err, w.close()) }()
		twins[j] = w
	}
	if err := both(twins, (*twin).attach); err != nil {
		return nil, err
	}
	if twins[1].attached() == c.refused {
		others = append(others, fmt.Sprintf("ours attaches: %t, wanted: %t: %v", twins[1].attached(), !c.refused, twins[1].calls))
	}
	if alike(twins) {
		others = append(others, b.judge(c, func(w *twin) (facts, error) { return w.results(), nil }, twins)...)
		others = append(others, b.judge(c, func(w *twin) (facts, error) { return w.observe("attached") }, twins)...)
		others = append(others, b.judge(c, func(w *twin) (facts, error) { return w.traffic(), nil }, twins)...)
	}
	if err := both(twins, (*twin).detach); err != nil {
		return others, err
	}
	if !alike(twins) {
		// What one side did not get to is nothing to compare.
		return append(others, b.judge(c, func(w *twin) (facts, error) { return w.calls.of("ADD ", "DEL ") }, twins)...), nil
	}
	others = append(others, b.judge(c, func(w *twin) (facts, error) { return w.calls.of("") }, twins)...)
	return append(others, b.judge(c, func(w *twin) (facts, error) { return w.observe("detached") }, twins)...), nil
}

// alike says whether the ADDs ended alike: else there is nothing to compare.
func alike(twins [2]*twin) bool {
	return twins[0].attached() == twins[1].attached()
}

func both(twins [2]*twin, do func(*twin) error) error {
	var errs [2]error
	var wait sync.WaitGroup
	for i, w := range twins {
		wait.Go(func() { errs[i] = do(w) })
	}
	wait.Wait()
	return errors.Join(errs[:]...)
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
	space, err := stage.NewSpace("probe")
	if err != nil {
		t.Fatal(err)
	}
	defer space.Close()
	on := true
	err = space.Do(func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe"}, VlanFiltering: &on})
	})
	missing[vlanFiltering] = err != nil
	return missing
}
