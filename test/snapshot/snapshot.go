// Package snapshot is the oracle of the tests: everything that an attachment could
// leave behind in a network namespace and in directories, as canonical text. Two
// snapshots are equal exactly if nothing was left. It reads the kernel by libraries
// and /proc on its own, so that it shares no mistake with the plugins' code; it
// changes nothing and needs CAP_SYS_ADMIN to enter the namespace.
//
// Left out on purpose, because they move on their own: indexes, handles, counters,
// timers, learned neighbours and forwarding entries, conntrack entries, carrier and
// what follows from it (operational state, RUNNING, linkdown), IPv6's tentative flag.
package snapshot

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
)

// Snapshot maps "kind name" ("link cni0", "nft chain inet x prerouting", "sysctl
// net/ipv4/ip_forward") to canonical text. Text of several lines is a list: Diff
// compares it line by line.
type Snapshot map[string]string

// Take reads the namespace and the directories. A directory that does not exist is
// an empty one. Files appear as "file <last element of dir>/<path inside>", so the
// directories' last elements must differ.
func Take(ns *netns.NS, dirs ...string) (Snapshot, error) {
	s := make(Snapshot)
	err := ns.Do(func() error {
		names, err := s.takeLinks()
		if err != nil {
			return fmt.Errorf("links: %w", err)
		}
		for _, part := range []struct {
			name string
			take func() error
		}{
			{"addresses", func() error { return s.takeAddrs(names) }},
			{"routes", func() error { return s.takeRoutes(names) }},
			{"rules", s.takeRules},
			{"neighbours", func() error { return s.takeNeighs(names) }},
			{"traffic control", func() error { return s.takeQdiscs(names) }},
			{"nftables", s.takeNft},
			{"xtables", s.takeXtables},
			{"sysctls", s.takeSysctls},
		} {
			if err := part.take(); err != nil {
				return fmt.Errorf("%s: %w", part.name, err)
			}
		}
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("snapshot: %w", err)
	}
	for _, dir := range dirs {
		if err := s.takeFiles(dir); err != nil {
			return nil, fmt.Errorf("snapshot: files: %w", err)
		}
	}
	return s, nil
}

// TakeInside reads what an attachment changes in a container's namespace: a tenth of the time of
// Take, as it leaves out firewalls and the settings that are of no link.
func TakeInside(ns *netns.NS) (Snapshot, error) {
	s := make(Snapshot)
	err := ns.Do(func() error {
		names, err := s.takeLinks()
		if err != nil {
			return fmt.Errorf("links: %w", err)
		}
		return errors.Join(
			s.takeAddrs(names), s.takeRoutes(names), s.takeRules(), s.takeNeighs(names), s.takeQdiscs(names),
			s.walkSysctls("net/ipv4/conf"), s.walkSysctls("net/ipv6/conf"),
		)
	})
	if err != nil {
		return nil, fmt.Errorf("snapshot: container: %w", err)
	}
	return s, nil
}

// Without is the snapshot less the keys for which drop says true.
func (s Snapshot) Without(drop func(key string) bool) Snapshot {
	rest := make(Snapshot, len(s))
	for k, v := range s {
		if !drop(k) {
			rest[k] = v
		}
	}
	return rest
}

// WithoutKept is the snapshot less what the plugins keep by design: as the reference
// does, directories, the lock and the last address handed out; and the index of owned
// and released addresses, which is a hint. The settings of connection tracking come
// with a module of the kernel when the first rule needs it.
func (s Snapshot) WithoutKept() Snapshot {
	return s.Without(func(key string) bool {
		path, isFile := strings.CutPrefix(key, "file ")
		base := filepath.Base(path)
		return strings.HasPrefix(key, "sysctl net/netfilter/") || isFile && (strings.HasPrefix(s[key], "d") || base == "lock" ||
			strings.HasPrefix(base, "last_reserved_ip.") || strings.Contains(path, "/.bridgeport"))
	})
}

// WithoutBookkeeping is the snapshot less directories, the lock, the last address handed
// out and the names of released addresses; and less the tables and chains that iptables
// makes by itself and never removes. The index of owned addresses stays.
func (s Snapshot) WithoutBookkeeping() Snapshot {
	return s.Without(func(key string) bool {
		path, isFile := strings.CutPrefix(key, "file ")
		base := filepath.Base(path)
		return emptyXtables(key, s[key]) || isFile && (strings.HasPrefix(s[key], "d") || base == "lock" ||
			strings.HasPrefix(base, "last_reserved_ip.") || strings.Contains(path, "/freed/"))
	})
}

func emptyXtables(key, text string) bool {
	words := strings.Fields(key)
	return len(words) > 3 && words[0] == "nft" && (words[2] == "ip" || words[2] == "ip6") &&
		(words[3] == "nat" || words[3] == "raw") && !strings.Contains(text, "\nrule") &&
		(words[1] == "table" || len(words) == 5 && strings.ToUpper(words[4]) == words[4] && !strings.HasPrefix(words[4], "CNI"))
}

// put adds one line to a key. Equal things (two routes of one text) count twice.
func (s Snapshot) put(key, text string) {
	if old, ok := s[key]; ok {
		text = old + "\n" + text
	}
	s[key] = text
}
