package trace

import "testing"

func TestSame(t *testing.T) {
	calls := []Effect{
		{"socket", "", "bridge"},
		{"sendto", "netlink type 18, 40 bytes", "bridge"},
		{"sendto", "netlink type 16, 40 bytes", "bridge"}, // RTM_NEWLINK
		{"openat", "/var/lib/cni/x", "bridge"},
		{"clone", "", "bridge"},
		{"execve", "/usr/sbin/iptables-restore", "bridge"},
		{"socket", "", "xtables-nft-multi"},
		{"sendmsg", "", "xtables-nft-multi"},
		{"exit_group", "", "xtables-nft-multi"},
		{"write", "pipe:[12]", "bridge"},
		{"exit_group", "", "bridge"},
	}
	for n, want := range map[int][2]bool{ // Tree, Leader
		1: {false, false}, 2: {true, true}, 3: {true, true}, 4: {false, false}, 5: {false, false}, 6: {true, false},
		7: {true, false}, 8: {true, true}, 9: {false, true}, 10: {true, false}, 11: {true, false}, 12: {false, false},
	} {
		if got := [2]bool{Same(calls, n, Tree), Same(calls, n, Leader)}; got != want {
			t.Errorf("at %d: got %v, want %v", n, got, want)
		}
	}
}
