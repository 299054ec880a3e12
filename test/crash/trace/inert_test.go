package trace

import "testing"

func TestSame(t *testing.T) {
	calls := []Effect{
		{"socket", "", "bridge", false},
		{"sendto", "netlink type 18, 40 bytes", "bridge", false},
		{"sendto", "netlink type 16, 40 bytes", "bridge", false}, // RTM_NEWLINK
		{"openat", "/var/lib/cni/x", "bridge", false},
		{"clone", "", "bridge", false},
		{"execve", "/usr/sbin/iptables-restore", "bridge", false},
		{"socket", "", "xtables-nft-multi", false},
		{"sendmsg", "", "xtables-nft-multi", false},
		{"exit_group", "", "xtables-nft-multi", false},
		{"write", "pipe:[12]", "bridge", false},
		{"exit_group", "", "bridge", false},
		{"openat", "/run/lock", "bridge", true},
		{"renameat", "x", "bridge", false},
	}
	for n, want := range map[int][2]bool{ // Tree, Leader
		1: {false, false}, 2: {true, true}, 3: {true, true}, 4: {false, false}, 5: {false, false}, 6: {true, false},
		7: {true, false}, 8: {true, true}, 9: {false, true}, 10: {true, false}, 11: {true, false}, 12: {true, true}, 13: {true, true}, 14: {false, false},
	} {
		if got := [2]bool{Same(calls, n, Tree), Same(calls, n, Leader)}; got != want {
			t.Errorf("at %d: got %v, want %v", n, got, want)
		}
	}
}
