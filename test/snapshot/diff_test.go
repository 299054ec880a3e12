package snapshot_test

import (
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

func TestDiff(t *testing.T) {
	for name, c := range map[string]struct {
		before, after snapshot.Snapshot
		want          []string
	}{
		"equal":   {snapshot.Snapshot{"link a": "x"}, snapshot.Snapshot{"link a": "x"}, nil},
		"changed": {snapshot.Snapshot{"link a": "x"}, snapshot.Snapshot{"link a": "y"}, []string{"~ link a: x → y"}},
		"list": {
			snapshot.Snapshot{"set s": "head\n1\n2"},
			snapshot.Snapshot{"set s": "head\n2\n3"},
			[]string{"- set s: 1", "+ set s: 3"},
		},
		"twice": {snapshot.Snapshot{"route r": "x"}, snapshot.Snapshot{"route r": "x\nx"}, []string{"+ route r: x"}},
		"order": {
			snapshot.Snapshot{"chain c": "1\n2"},
			snapshot.Snapshot{"chain c": "2\n1"},
			[]string{"~ chain c: the order of its lines changed: 1 | 2 → 2 | 1"},
		},
		"sysctls of a link that came": {
			snapshot.Snapshot{"sysctl net/ipv4/conf/all/a": "0"},
			snapshot.Snapshot{"sysctl net/ipv4/conf/all/a": "0", "sysctl net/ipv4/conf/v/a": "0", "sysctl net/ipv4/conf/v/b": "1"},
			[]string{"+ sysctl net/ipv4/conf/v/: 2 values"},
		},
		"one sysctl of a link that stays": {
			snapshot.Snapshot{"sysctl net/ipv4/conf/v/a": "0"},
			snapshot.Snapshot{"sysctl net/ipv4/conf/v/a": "0", "sysctl net/ipv4/conf/v/b": "1"},
			[]string{"+ sysctl net/ipv4/conf/v/b: 1"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			if got := snapshot.Diff(c.before, c.after); !slices.Equal(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
