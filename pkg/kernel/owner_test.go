package kernel

import (
	"net"
	"strings"
	"testing"
)

var owner = Owner{Network: "net", ContainerID: "c1", IfName: "eth0"}

// TestOwnerPinned: other versions of us must find what this one made, so these
// values are for ever.
func TestOwnerPinned(t *testing.T) {
	pod := owner
	pod.Pod = "default/web"
	tests := []struct{ name, got, want string }{
		{"network tag", NetworkTag("net"), "482c2e79"},
		{"tag", owner.Tag(), "482c2e79-fca877ccd11"},
		{"tag with pod", pod.Tag(), "482c2e79-fca877ccd11"},
		{"link", owner.LinkName(), "vethfca877ccd11"},
		{"host MAC", owner.HostMAC().String(), "5a:10:fe:2a:64:32"},
		{"MAC", owner.ContainerMAC(nil).String(), "96:89:fe:3e:2f:39"},
		{"MAC of IPv4", owner.ContainerMAC(net.ParseIP("10.88.0.2")).String(), "0a:58:0a:58:00:02"},
		{"MAC of IPv6", owner.ContainerMAC(net.ParseIP("fd00::2")).String(), "32:c9:09:2e:7c:51"},
		{"comment", owner.Comment(127), "482c2e79-fca877ccd11 net/c1/eth0"},
		{"comment with pod", pod.Comment(127), "482c2e79-fca877ccd11 net/c1/eth0 pod default/web"},
		{"comment, cut", pod.Comment(30), "482c2e79-fca877ccd11 net/c1/et"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

// TestOwnerSeparators: parts that join to the same text are different owners.
func TestOwnerSeparators(t *testing.T) {
	seen := make(map[string]Owner)
	for _, o := range []Owner{
		{"a", "bc", "d", ""}, {"ab", "c", "d", ""}, {"a", "b", "cd", ""}, {"abc", "", "d", ""}, {"", "abc", "d", ""}, {"a", "bcd", "", ""},
	} {
		for _, value := range []string{o.Tag(), o.LinkName(), o.HostMAC().String(), o.ContainerMAC(nil).String()} {
			if other, dup := seen[value]; dup {
				t.Errorf("%q and %q both have %s", o, other, value)
			}
			seen[value] = o
		}
	}
}

// TestOwnerForms: names that the kernel takes, whatever the owner is called.
func TestOwnerForms(t *testing.T) {
	for _, id := range []string{"", "c1", strings.Repeat("f", 64), "ä"} {
		o := Owner{"net", id, "eth0", ""}
		if n := len(o.LinkName()); n != 15 { // IFNAMSIZ less the zero
			t.Errorf("link name of %d characters: %s", n, o.LinkName())
		}
		for _, mac := range []net.HardwareAddr{o.HostMAC(), o.ContainerMAC(nil), o.ContainerMAC(net.ParseIP("fd00::2")), o.ContainerMAC(net.IPv4(10, 0, 0, 1)), hardwareAddr(id)} {
			if len(mac) != 6 || mac[0]&1 != 0 || mac[0]&2 == 0 {
				t.Errorf("%s is not a locally administered unicast address", mac)
			}
		}
		if LinkOf(o.Tag()) != o.LinkName() {
			t.Errorf("tag %s leads to link %s, want %s", o.Tag(), LinkOf(o.Tag()), o.LinkName())
		}
	}
}

// TestOwnerPrintable: a pod's name comes from CNI_ARGS, where anything may stand.
func TestOwnerPrintable(t *testing.T) {
	o := owner
	o.Pod = "a\"; flush ruleset\n\x1b[2Jé\\"
	got := o.Comment(200)
	if want := `482c2e79-fca877ccd11 net/c1/eth0 pod a?; flush ruleset??[2J??`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTags(t *testing.T) {
	tag := owner.Tag()
	tests := []struct {
		comment string
		same    bool // SameTag with tag
		of      bool // of network "net"
	}{
		{tag, true, true},
		{tag + " net/c1/eth0", true, true},
		{tag + "0", false, false},
		{tag[:19], false, false},
		{"", false, false},
		{Owner{"net", "c2", "eth0", ""}.Comment(100), false, true},
		{Owner{"net2", "c1", "eth0", ""}.Comment(100), false, false},
		{"bridgeport", false, false},
		{"482c2e79-", false, false},
	}
	for _, tt := range tests {
		if got := SameTag(tt.comment, tag); got != tt.same {
			t.Errorf("%q has the tag: got %t, want %t", tt.comment, got, tt.same)
		}
		if got := ofNetwork(tagOf(tt.comment), "net"); got != tt.of {
			t.Errorf("%q is of the network: got %t, want %t", tt.comment, got, tt.of)
		}
	}
}

// TestMark: a mark counts the elements, so that DEL knows when it has found all.
func TestMark(t *testing.T) {
	long := Owner{strings.Repeat("n", 100), strings.Repeat("c", 100), "eth0", ""}
	for _, o := range []Owner{owner, long} {
		for _, n := range []int{0, 1, 40000} {
			mark := markComment(o, n)
			if len(mark) > 127 || !SameTag(mark, o.Tag()) || wanted(mark) != n+1 {
				t.Errorf("%d: %q of %d bytes means %d", n, mark, len(mark), wanted(mark))
			}
		}
	}
	for _, comment := range []string{"", owner.Tag(), owner.Comment(127), "x y"} {
		if got := wanted(comment); got < 1<<30 {
			t.Errorf("%q: got %d, want no limit", comment, got)
		}
	}
}
