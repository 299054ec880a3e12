// Package kit is what the end-to-end tests share: nodes made of namespaces, daemons
// in them, images without a registry, and the table of checks.
//
// A node is a network, a mount and a PID namespace: its /run is empty at each boot, its
// /etc, /opt, /var/lib and /var/log are its own, and its /usr has the unpacked
// Debian packages in it. Nothing of the machine is changed, except for control groups
// below one of the test's own, which is removed at the end.
package kit

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// bootMark is the first argument of the program when it is a node's process 1.
const bootMark = "node-init"

// Main runs an end-to-end test in namespaces of its own. An error of fn, for what could not
// even be tried, is one more failed check.
func Main(name string, fn func(*Report) error) {
	if len(os.Args) > 2 {
		switch os.Args[1] {
		case bootMark:
			complain(boot(os.Args[2]))
		case apartMark:
			complain(apart(os.Args[2]))
		case joinMark:
			complain(joined(os.Args[2:]))
		}
	}
	if len(os.Args) > 3 && os.Args[1] == gcMark {
		if err := collect(os.Args[2], os.Args[3]); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	code, isChild := stage.Isolate()
	if !isChild {
		os.Exit(code)
	}
	r := &Report{name: name, out: os.Stdout}
	start := time.Now()
	err := os.RemoveAll(logDir())
	if err == nil {
		err = fn(r)
	}
	for len(running) > 0 { // their control groups are the machine's
		err = errors.Join(err, running[0].PowerOff())
	}
	if err != nil {
		r.Do("the test itself", func() error { return err })
	}
	fmt.Printf("\n%s in all; the programs' output is in %s\n", time.Since(start).Round(time.Second), logDir())
	os.Exit(r.end())
}

// complain ends a process of a node that can't do its work.
func complain(err error) {
	fmt.Fprintln(os.Stderr, "node:", err)
	os.Exit(1)
}

// Repo is an absolute path below the repository, which must be the current directory.
func Repo(path string) string {
	abs, err := filepath.Abs(path)
	if err != nil {
		panic(err) // the current directory is gone
	}
	return abs
}

// Cache is a path below the folder that fetch.sh fills.
func Cache(path string) string {
	if dir := os.Getenv("E2E_CACHE"); dir != "" {
		return filepath.Join(dir, path)
	}
	return Repo(filepath.Join(".cache/e2e", path))
}

func logDir() string { return Cache("log/" + filepath.Base(os.Args[0])) }

// Wait repeats fn until it works or the time is over; then its last error is returned.
func Wait(timeout time.Duration, fn func() error) error {
	end := time.Now().Add(timeout)
	for {
		err := fn()
		if err == nil {
			return nil
		}
		if time.Now().After(end) {
			return fmt.Errorf("after %v: %w", timeout, err)
		}
		time.Sleep(100 * time.Millisecond)
	}
}

// Together calls fn so many times at once.
func Together(times int, fn func(i int) error) error {
	var group sync.WaitGroup
	errs := make([]error, times)
	for i := range errs {
		group.Go(func() { errs[i] = fn(i) })
	}
	group.Wait()
	return errors.Join(errs...)
}
