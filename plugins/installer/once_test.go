package main

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// prepares starts the init container.
func (f *follower) prepares() {
	f.t.Helper()
	from := f.t.TempDir()
	for _, name := range []string{"bridge", "portmap", "host-local", "loopback"} {
		if err := os.WriteFile(filepath.Join(from, name), []byte("#!/bin/sh\necho CNI plugin\n"), 0o755); err != nil {
			f.t.Fatal(err)
		}
	}
	f.run("-once", "-plugins", from, "-bin", filepath.Join(f.dir, "bin"))
}

// written wants the init container to end well, with the node's list.
func (f *follower) written() {
	f.t.Helper()
	if err := f.cmd.Wait(); err != nil {
		f.t.Fatal(err, f.says())
	}
	list, err := os.ReadFile(filepath.Join(f.dir, "net.d/10-bridgeport.conflist"))
	if err != nil || !strings.Contains(string(list), `"subnet": "10.0.0.0/24"`) {
		f.t.Errorf("%s, %v", list, err)
	}
}

// loopback changes the link by which the API server is reached.
func (f *follower) loopback(change func(netlink.Link) error) {
	f.t.Helper()
	stage.Change(f.space, "lo", change)
}

// TestOnce: the init container installs plugins and writes the list with nothing but its own node.
func TestOnce(t *testing.T) {
	f := newFollower(t, true)
	f.prepares()
	f.written()
	if n := f.api.requests.Load(); n != 1 || f.says() != "" {
		t.Errorf("%d requests: %s", n, f.says())
	}
}

// TestOnceWaits: what passes by itself does not end the init container, and it goes on within seconds.
func TestOnceWaits(t *testing.T) {
	for name, trouble := range map[string]struct {
		begin, end func(*follower)
		says       string
	}{
		"no answer": {
			begin: func(f *follower) { f.api.mute.Store(true) },
			end:   func(f *follower) { f.api.mute.Store(false) },
			says:  "deadline exceeded",
		},
		"not ready": {
			begin: func(f *follower) { f.api.refusal.Store(http.StatusServiceUnavailable) },
			end:   func(f *follower) { f.api.refusal.Store(0) },
			says:  "n0: read: ",
		},
		"no way": { // 127.0.0.1 is not there
			begin: func(f *follower) { f.loopback(netlink.LinkSetDown) },
			end:   func(f *follower) { f.loopback(netlink.LinkSetUp) },
			says:  "n0: read: ",
		},
		"no podCIDRs yet": {
			begin: func(f *follower) { f.api.set(made("n0", nil, "10.128.0.1")) },
			end:   func(f *follower) { f.api.set(numbered(0)) },
			says:  "podCIDRs: the node has none",
		},
	} {
		t.Run(name, func(t *testing.T) {
			f := newFollower(t, true)
			trouble.begin(f)
			f.prepares()
			f.waits("it says why", 10*time.Second, func() bool { return strings.Contains(f.says(), trouble.says) })
			begin := time.Now()
			trouble.end(f)
			f.written()
			if took := time.Since(begin); took > 10*time.Second {
				t.Errorf("it took %v", took)
			}
		})
	}
}

// TestOnceEnds: what does not pass is told at once.
func TestOnceEnds(t *testing.T) {
	f := newFollower(t, true)
	f.api.refusal.Store(http.StatusForbidden)
	begin := time.Now()
	f.prepares()
	if err := f.cmd.Wait(); err == nil || !strings.Contains(f.says(), "node n0: read: ") || time.Since(begin) > 5*time.Second {
		t.Errorf("%v after %v: %s", err, time.Since(begin), f.says())
	}
}
