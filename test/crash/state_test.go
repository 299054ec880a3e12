package crash

import (
	"crypto/sha256"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// everything is the host, the container and the leases. The container's namespace keeps the
// one setting for all its links that ADD makes: it goes with the namespace.
func (r *room) everything() snapshot.Snapshot {
	r.t.Helper()
	defer r.clock.took("looks")()
	full, err := snapshot.Take(r.Host.NS, r.Data())
	r.want(err, "snapshot")
	inside, err := snapshot.Take(r.box.NS)
	r.want(err, "snapshot of the container")
	for key, text := range inside {
		// The kernel adds the link-local address and its routes some time after the link.
		if !strings.Contains(key, "fe80::") && !strings.Contains(key, "ff00::/8") && key != "sysctl net/ipv4/conf/all/accept_redirects" {
			full["container "+key] = text
		}
	}
	return full
}

// state is everything less what is kept by design.
func (r *room) state() snapshot.Snapshot {
	r.Helper()
	return r.everything().WithoutBookkeeping()
}

// fingerprint is a digest of everything, and of whether the index knows all leases: two
// equal ones are the same state, whatever led to them.
type fingerprint [sha256.Size]byte

func (r *room) fingerprint() fingerprint {
	r.t.Helper()
	return r.fingerprintOf(r.everything())
}

func (r *room) fingerprintOf(full snapshot.Snapshot) fingerprint {
	stamp := func(dir string) string {
		st, err := os.Stat(filepath.Join(r.Data(), dir))
		if err != nil {
			return "none"
		}
		return st.ModTime().String()
	}
	h := sha256.New()
	fmt.Fprintln(h, stamp(networkName) == stamp(".bridgeport/"+networkName))
	for _, key := range slices.Sorted(maps.Keys(full)) {
		fmt.Fprintln(h, key, full[key])
	}
	return fingerprint(h.Sum(nil))
}

// settled is state after the kernel has come to rest.
func (r *room) settled() snapshot.Snapshot {
	r.Helper()
	state, err := snapshot.Rest(10*time.Second, func() (snapshot.Snapshot, error) { return r.state(), nil })
	r.want(err, "rest")
	return state
}

// differs waits for a state, as the kernel takes links of a dead namespace away some
// time later. What was left stays left, so waiting hides nothing. Lines with one of but
// do not count. It also returns what it last saw.
func (r *room) differs(want snapshot.Snapshot, but ...string) ([]string, fingerprint) {
	r.t.Helper()
	pause := 10 * time.Millisecond
	for end := time.Now().Add(tries); ; pause *= 2 {
		full := r.everything()
		diff := slices.DeleteFunc(snapshot.Diff(want, full.WithoutBookkeeping()), func(line string) bool {
			return slices.ContainsFunc(but, func(part string) bool { return strings.Contains(line, part) })
		})
		if len(diff) == 0 || time.Now().After(end) {
			return diff, r.fingerprintOf(full)
		}
		time.Sleep(pause)
	}
}
