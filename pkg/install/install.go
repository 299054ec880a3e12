// Package install exchanges a set of plugins while the node runs. Each file goes by a rename, so that
// a call at any moment finds a whole plugin, old or new. What was there is kept beside it.
//
//	done, err := install.Set("bin", "/opt/cni/bin")   // our set; what it replaces is kept
//	done, err = install.Rollback("/opt/cni/bin")      // to our set before
//	done, err = install.Reference("/opt/cni/bin")     // to the plugins that were not ours
package install

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/flock"
)

// Names are the plugins of a set, and the command, which a set may lack.
var Names = []string{"bridge", "portmap", "host-local", "loopback", command}

const command = "bridgeport"

// Folders in the directory of the plugins. No runtime looks into them.
const (
	previous = ".bridgeport-previous"  // our set before the present one
	foreign  = ".bridgeport-reference" // plugins that are not ours; no file in there is ever replaced
	staged   = ".bridgeport-new"       // the set on its way in
	kept     = ".bridgeport-old"       // the set on its way to previous
)

// Changed is what became of one file.
type Changed struct {
	Path string `json:"path"`
	Was  string `json:"was,omitempty"` // version; "" where there was none
	Is   string `json:"is,omitempty"`  // "" where it was removed
}

// ErrNothingKept says that there is no set to go back to.
var ErrNothingKept = errors.New("no set is kept there")

// Set installs the set of the directory from into bin, and makes bin where it is missing. Each new plugin
// is tried before anything is changed. No Changed means that the same files were there.
func Set(from, bin string) (done []Changed, err error) {
	for _, name := range Names {
		if path := filepath.Join(from, name); name != command && Version(path) == "" {
			return nil, fmt.Errorf("install: %s: does not say its version: is it a plugin for this machine?", path)
		}
	}
	if err := os.MkdirAll(bin, 0o755); err != nil {
		return nil, fmt.Errorf("install: %w", err)
	}
	err = alone(bin, func() error {
		if err := stage(from, bin); err != nil {
			return err
		}
		if Version(filepath.Join(bin, staged, Names[0])) == "" {
			return fmt.Errorf("%s: a program can't be executed there: is it mounted noexec? nothing was changed", bin)
		}
		done, err = exchange(bin)
		return err
	})
	return done, wrap("install", err)
}

// Rollback exchanges the present set and our set before it: a second Rollback takes the first one back.
// The error is an ErrNothingKept where there was none.
func Rollback(bin string) (done []Changed, err error) {
	return back("rollback", bin, func(name string) string { return filepath.Join(bin, previous, name) })
}

// Reference puts the plugins back that were not ours, and removes ours where there was none. The command
// stays, and our set is kept for Rollback. The error is an ErrNothingKept where all plugins were ours.
func Reference(bin string) (done []Changed, err error) {
	return back("rollback to the reference", bin, func(name string) string { return newest(filepath.Join(bin, foreign, name)) })
}

// HasReference says whether plugins that are not ours are kept, or in place again.
func HasReference(bin string) bool {
	bridge := filepath.Join(bin, Names[0])
	return exists(filepath.Join(bin, foreign)) || exists(bridge) && !Ours(bridge)
}

// Idle waits until no process runs a plugin of the set before, and no longer than timeout.
func Idle(bin string, timeout time.Duration) error {
	var programs []os.FileInfo
	for _, name := range Names {
		if program, err := os.Stat(filepath.Join(bin, previous, name)); err == nil && name != command {
			programs = append(programs, program)
		}
	}
	// Nothing tells of the end of somebody else's process; most calls take a few milliseconds.
	for end := time.Now().Add(timeout); ; time.Sleep(20 * time.Millisecond) {
		pid := runs(programs)
		if pid == "" {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("process %s runs a plugin that was exchanged, for more than %s: end it", pid, timeout)
		}
	}
}

// runs finds a process that runs one of the programs.
func runs(programs []os.FileInfo) (pid string) {
	running, _ := filepath.Glob("/proc/[0-9]*/exe") // the pattern is right
	for _, path := range running {
		program, err := os.Stat(path)
		if err == nil && slices.ContainsFunc(programs, func(p os.FileInfo) bool { return os.SameFile(p, program) }) {
			return filepath.Base(filepath.Dir(path))
		}
	}
	return ""
}

// Remove removes our plugins, the kept sets and, last, the command. Plugins that are not ours stay.
func Remove(bin string) error {
	return wrap("uninstall", alone(bin, func() error {
		errs := []error{os.RemoveAll(filepath.Join(bin, previous)), os.RemoveAll(filepath.Join(bin, foreign))}
		for _, name := range Names {
			if path := filepath.Join(bin, name); Ours(path) {
				errs = append(errs, os.Remove(path))
			}
		}
		return errors.Join(errs...)
	}))
}

// back exchanges the present set and the one whose files which names. A set without any is an error.
func back(action, bin string, which func(name string) string) (done []Changed, err error) {
	if _, err := os.Stat(filepath.Dir(which(Names[0]))); err != nil {
		return nil, fmt.Errorf("%s: %s: %w", action, bin, ErrNothingKept)
	}
	err = alone(bin, func() error {
		err := clean(filepath.Join(bin, staged))
		for _, name := range Names {
			source := which(name)
			if name == command && !exists(source) {
				source = filepath.Join(bin, name)
			}
			err = errors.Join(err, keep(source, filepath.Join(bin, staged, name)))
		}
		if err != nil {
			return err
		}
		done, err = exchange(bin)
		return err
	})
	return done, wrap(action, err)
}

// alone runs fn while no other process changes the sets of bin, and leaves none on its way.
func alone(bin string, fn func() error) error {
	dir, err := os.Open(bin)
	if err != nil {
		return err
	}
	defer dir.Close() // read-only, nothing to lose
	if err := flock.Take(int(dir.Fd()), time.Minute); err != nil {
		return fmt.Errorf("%s: %w", bin, err)
	}
	err = fn()
	return errors.Join(err, os.RemoveAll(filepath.Join(bin, staged)), os.RemoveAll(filepath.Join(bin, kept)))
}

func wrap(action string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", action, err)
}

func clean(dir string) error { return errors.Join(os.RemoveAll(dir), os.Mkdir(dir, 0o755)) }

// stage copies the set of the directory from. Plugins that are one file under several names stay one.
func stage(from, bin string) error {
	dir := filepath.Join(bin, staged)
	if err := clean(dir); err != nil {
		return err
	}
	for _, name := range Names {
		source, target, first := filepath.Join(from, name), filepath.Join(dir, name), filepath.Join(from, Names[0])
		if name != Names[0] && name != command && equal(source, first) && os.Link(filepath.Join(dir, Names[0]), target) == nil {
			continue
		}
		err := file.Copy(source, target, 0o755)
		if name == command && errors.Is(err, os.ErrNotExist) {
			err = keep(filepath.Join(bin, name), target) // the one that is there stays
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// exchange keeps the present set and moves the staged one into its place. Where the present set can't be
// kept nothing is changed.
func exchange(bin string) (done []Changed, err error) {
	if same(bin, filepath.Join(bin, staged)) {
		return nil, nil
	}
	if err := clean(filepath.Join(bin, kept)); err != nil {
		return nil, err
	}
	ours := 0
	for _, name := range Names {
		path := filepath.Join(bin, name)
		if Ours(path) {
			ours++
			err = keep(path, filepath.Join(bin, kept, name))
		} else {
			err = keepForeign(path, filepath.Join(bin, foreign))
		}
		if err != nil {
			return nil, err
		}
	}
	if ours > 1 { // the command alone is no set
		if err := errors.Join(os.RemoveAll(filepath.Join(bin, previous)), os.Rename(filepath.Join(bin, kept), filepath.Join(bin, previous))); err != nil {
			return nil, err
		}
	}
	for _, name := range Names {
		path := filepath.Join(bin, name)
		c := Changed{Path: path, Was: short(path)}
		err := os.Rename(filepath.Join(bin, staged, name), path)
		if errors.Is(err, os.ErrNotExist) { // the staged set has none
			err = os.Remove(path)
		}
		if err != nil && !errors.Is(err, os.ErrNotExist) {
			return done, err
		}
		c.Is = short(path)
		done = append(done, c)
	}
	return done, nil
}
