package kit

import (
	"errors"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// State is everything that attachments could leave on the node: links, addresses,
// routes, rules, sysctls, leases and the runtime's cached results. Left out is what
// stays on purpose: host-local's lock, last address, index and quarantine, directories.
func (n *Node) State() (snapshot.Snapshot, error) {
	all, err := snapshot.Take(n.NS, filepath.Join(n.Dir, "lib/cni"))
	if err != nil {
		return nil, err
	}
	return all.Without(func(key string) bool {
		file, isFile := strings.CutPrefix(key, "file ")
		base := path.Base(file)
		return isFile && (strings.HasPrefix(all[key], "d") || base == "lock" ||
			strings.HasPrefix(base, "last_reserved_ip.") || strings.Contains(file, "/.bridgeport"))
	}), nil
}

// Settled is State after what the kernel does on its own has come to rest.
func (n *Node) Settled() (snapshot.Snapshot, error) {
	last, err := n.State()
	for end := time.Now().Add(10 * time.Second); err == nil && time.Now().Before(end); {
		time.Sleep(300 * time.Millisecond)
		var now snapshot.Snapshot
		if now, err = n.State(); err == nil && len(snapshot.Diff(last, now)) == 0 {
			return now, nil
		}
		last = now
	}
	return nil, errors.Join(err, errors.New(n.Name+": does not come to rest"))
}

// ExpectState wants the node back in a state. The kernel may need a moment for links
// of dead namespaces.
func (n *Node) ExpectState(before snapshot.Snapshot) error {
	return Wait(10*time.Second, func() error {
		now, err := n.State()
		if err != nil {
			return err
		}
		if diff := snapshot.Diff(before, now); len(diff) > 0 {
			return errors.New("left behind, or lost:\n" + strings.Join(diff, "\n"))
		}
		return nil
	})
}
