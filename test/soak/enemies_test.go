package soak

import (
	"bytes"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

// enemy is what happens to one call.
type enemy struct {
	kind  string
	after time.Duration // from the start
	size  int           // kilobytes of memory; years for the clock
}

var calm = enemy{}

// enemy chooses: one call of twelve is disturbed, half of those are killed.
func (k *worker) enemy() enemy {
	e := enemy{after: time.Duration(k.rng.IntN(15000)) * time.Microsecond}
	switch k.rng.IntN(48) {
	case 0, 1:
		e.kind = "kill"
	case 2:
		e.kind, e.after = "stop", e.after/2
	case 3:
		e.kind, e.size = "memory", 1000+k.rng.IntN(16000)
	case 4:
		e.kind, e.size = "clock", 1-2*k.rng.IntN(2)
	default:
		return calm
	}
	return e
}

// call runs each plugin of the network for a verb, in the order of the verb, with the
// enemy at one of them. The first failure ends it, as in libcni.
func (w *world) call(n *network, verb string, a attachment, how enemy) ([]byte, error) {
	return w.chain(n, verb, a, nil, how)
}

func (w *world) check(n *network, a attachment, result []byte) ([]byte, error) {
	return w.chain(n, "CHECK", a, result, calm)
}

func (w *world) del(n *network, a attachment, result []byte, how enemy) ([]byte, error) {
	return w.chain(n, "DEL", a, result, how)
}

func (w *world) chain(n *network, verb string, a attachment, previous []byte, how enemy) (out []byte, err error) {
	if how != calm {
		w.disturbed.Add(1)
	}
	plugins := slices.Clone(n.plugins)
	if verb == "DEL" {
		slices.Reverse(plugins)
	}
	for i, c := range plugins {
		one := calm
		if i == int(how.after)%len(plugins) {
			one = how
		}
		out, err = w.run(c.Plugin(), verb, a, w.stdin(n, c, verb, a, previous), one)
		if err != nil {
			return out, err
		}
		if verb == "ADD" {
			previous = out
		}
	}
	return out, nil
}

func (w *world) run(plugin, verb string, a attachment, stdin []byte, how enemy) ([]byte, error) {
	path := filepath.Join(w.Bin, plugin)
	env := stage.Call{Command: verb, ContainerID: a.id, Netns: a.netns, IfName: "eth0"}.Environ(w.Bin)
	if how.kind == "clock" {
		var out trace.Outcome
		err := w.Host.Do(func() (err error) {
			out, err = trace.Run{Path: path, Env: env, Stdin: stdin, Clock: time.Duration(how.size) * 365 * 24 * time.Hour}.Do()
			return err
		})
		if err == nil && out.Exit != 0 {
			err = fmt.Errorf("exit %d", out.Exit)
		}
		return out.Stdout, err
	}
	cmd := exec.Command(path)
	if how.kind == "memory" {
		cmd = exec.Command("/bin/sh", "-c", fmt.Sprintf("ulimit -d %d; exec %s", how.size, path))
	}
	var stdout bytes.Buffer
	cmd.Env, cmd.Stdin, cmd.Stdout = env, bytes.NewReader(stdin), &stdout
	cmd.WaitDelay = time.Second
	if err := w.Host.Do(cmd.Start); err != nil {
		return nil, err
	}
	switch how.kind {
	case "kill":
		timer := time.AfterFunc(how.after, func() { _ = cmd.Process.Kill() })
		defer timer.Stop()
	case "stop":
		timer := time.AfterFunc(how.after, func() {
			_ = cmd.Process.Signal(unix.SIGSTOP) // or it has ended
			time.Sleep(50 * how.after)
			_ = cmd.Process.Signal(unix.SIGCONT)
		})
		defer timer.Stop()
	}
	err := cmd.Wait()
	return stdout.Bytes(), err
}

// enemies are those of everybody.
func (w *world) enemies(rng *rand.Rand, end time.Time) {
	for time.Now().Before(end) {
		time.Sleep(time.Duration(500+rng.IntN(3000)) * time.Millisecond)
		during := time.Duration(rng.IntN(400)) * time.Millisecond
		err := []func() error{
			w.flushRules,
			w.reloadRules,
			func() error { return w.fillDisk(during) },
			func() error { return w.useInodes(during) },
			func() error { return w.removeLeases(w.networks[rng.IntN(len(w.networks))]) },
		}[rng.IntN(5)]()
		if err != nil {
			w.t.Errorf("enemy: %v", err)
		}
	}
}

// flushRules is `nft flush ruleset`. The count goes up before and after: who sees an even
// one twice has not met it.
func (w *world) flushRules() error {
	w.lost()
	defer w.lost()
	return w.Host.Do(func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		c.FlushRuleset()
		return c.Flush()
	})
}

// reloadRules saves our rules and loads them again. What changed meanwhile is lost, or is there again.
func (w *world) reloadRules() error {
	w.lost()
	defer w.lost()
	var text strings.Builder
	for _, table := range []string{"inet bridgeport", "bridge bridgeport"} {
		list := append([]string{"-s", "list", "table"}, strings.Fields(table)...)
		saved, err := stage.Try(w.Host, "", "nft", list...)
		if err != nil {
			continue // nobody has made it yet
		}
		fmt.Fprintf(&text, "table %s\ndelete table %s\n%s\n", table, table, saved)
	}
	_, err := stage.Try(w.Host, text.String(), "nft", "-f", "-")
	return err
}

// removeLeases is somebody who tidies up. Attachments that were complete keep their addresses.
func (w *world) removeLeases(n *network) error {
	w.lost()
	defer w.lost()
	n.lostLeases.Add(1)
	defer n.lostLeases.Add(1)
	err := os.RemoveAll(filepath.Join(w.Data(), n.name))
	if errors.Is(err, unix.ENOTEMPTY) { // somebody has just written another
		return nil
	}
	return err
}

func (h *history) lost() {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.flush++
}

func (w *world) fillDisk(during time.Duration) error {
	w.diskFull.Store(true)
	defer w.diskFull.Store(false)
	path := filepath.Join(w.Dir, "full")
	err := os.WriteFile(path, []byte(strings.Repeat("x", diskSize+1)), 0o600)
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("the disk is not full: %w", err)
	}
	time.Sleep(during)
	return os.Remove(path)
}

// useInodes makes files until no more can be made.
func (w *world) useInodes(during time.Duration) error {
	w.diskFull.Store(true)
	defer w.diskFull.Store(false)
	dir := filepath.Join(w.Dir, "many")
	if err := stage.UseInodes(dir); err != nil {
		return err
	}
	time.Sleep(during)
	return os.RemoveAll(dir)
}
