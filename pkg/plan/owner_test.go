package plan

import (
	"net"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
)

var someone = Owner{Network: "net", ContainerID: "c1", IfName: "eth0"}

// TestOwnerPinned: other versions of us must find what this one made, so these
// values are for ever.
func TestOwnerPinned(t *testing.T) {
	pod := someone
	pod.Pod = "default/web"
	tests := []struct{ name, got, want string }{
		{"network tag", networkTag("net"), "482c2e79"},
		{"tag", someone.Tag(), "482c2e79-fca877ccd11"},
		{"tag with pod", pod.Tag(), "482c2e79-fca877ccd11"},
		{"link", someone.LinkName(), "vethfca877ccd11"},
		{"host MAC", someone.HostMAC().String(), "5a:10:fe:2a:64:32"},
		{"MAC", someone.ContainerMAC(nil).String(), "96:89:fe:3e:2f:39"},
		{"MAC of IPv4", someone.ContainerMAC(net.ParseIP("10.88.0.2")).String(), "0a:58:0a:58:00:02"},
		{"MAC of IPv6", someone.ContainerMAC(net.ParseIP("fd00::2")).String(), "32:c9:09:2e:7c:51"},
		{"comment", someone.Comment(127), "482c2e79-fca877ccd11 net/c1/eth0"},
		{"comment with pod", pod.Comment(127), "482c2e79-fca877ccd11 net/c1/eth0 pod default/web"},
		{"comment, cut", pod.Comment(30), "482c2e79-fca877ccd11 net/c1/et"},
	}
	for _, tt := range tests {
		if tt.got != tt.want {
			t.Errorf("%s: got %s, want %s", tt.name, tt.got, tt.want)
		}
	}
}

// TestOwnerCut: the container's ID is whole in a comment, whatever the network is called.
func TestOwnerCut(t *testing.T) {
	id := strings.Repeat("c", 64)
	for n, want := range map[int]string{
		40: strings.Repeat("n", 40) + "/" + id + "/", 41: strings.Repeat("n", 36) + "/" + id + "/eth0", 200: strings.Repeat("n", 36) + "/" + id + "/eth0",
	} {
		o := Owner{Network: strings.Repeat("n", n), ContainerID: id, IfName: "eth0"}
		got := o.Comment(127)
		if _, names, _ := strings.Cut(got, " "); names != want || !label.SameContainer(got, Owner{Network: "net", ContainerID: id, IfName: "net1"}.Comment(127)) {
			t.Errorf("%d: got %q, want %q", n, names, want)
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

// TestOwnerForms: names that the kernel takes, whatever the someone is called.
func TestOwnerForms(t *testing.T) {
	for _, id := range []string{"", "c1", strings.Repeat("f", 64), "ä"} {
		o := Owner{"net", id, "eth0", ""}
		if n := len(o.LinkName()); n != 15 { // IFNAMSIZ less the zero
			t.Errorf("link name of %d characters: %s", n, o.LinkName())
		}
		for _, mac := range []net.HardwareAddr{o.HostMAC(), o.ContainerMAC(nil), o.ContainerMAC(net.ParseIP("fd00::2")), o.ContainerMAC(net.IPv4(10, 0, 0, 1)), HardwareAddr(id)} {
			if len(mac) != 6 || mac[0]&1 != 0 || mac[0]&2 == 0 {
				t.Errorf("%s is not a locally administered unicast address", mac)
			}
		}
		if label.LinkOf(o.Tag()) != o.LinkName() {
			t.Errorf("tag %s leads to link %s, want %s", o.Tag(), label.LinkOf(o.Tag()), o.LinkName())
		}
	}
}

// TestOwnerPrintable: a pod's name comes from CNI_ARGS, where anything may stand.
func TestOwnerPrintable(t *testing.T) {
	o := someone
	o.Pod = "a\"; flush ruleset\n\x1b[2Jé\\"
	got := o.Comment(200)
	if want := `482c2e79-fca877ccd11 net/c1/eth0 pod a?; flush ruleset??[2J??`; got != want {
		t.Errorf("got %q, want %q", got, want)
	}
}

func TestTags(t *testing.T) {
	tag := someone.Tag()
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
		if got := label.Same(tt.comment, tag); got != tt.same {
			t.Errorf("%q has the tag: got %t, want %t", tt.comment, got, tt.same)
		}
		if got := OfNetwork(label.Tag(tt.comment), "net"); got != tt.of {
			t.Errorf("%q is of the network: got %t, want %t", tt.comment, got, tt.of)
		}
	}
}

// TestDescribe: a holder in words, however much of its comment is left.
func TestDescribe(t *testing.T) {
	for comment, want := range map[string]string{
		"482c2e79-fca877ccd11 net/c1/eth0 pod shop/web-7d9f": "container c1 (network net, interface eth0, pod shop/web-7d9f)",
		"482c2e79-fca877ccd11 net/c1/eth0":                   "container c1 (network net, interface eth0)",
		"482c2e79-fca877ccd11 net/c1":                        "482c2e79-fca877ccd11 net/c1",
		"mine":                                               "mine",
		"":                                                   "",
	} {
		if got := label.Describe(comment); got != want {
			t.Errorf("%q: got %q, want %q", comment, got, want)
		}
	}
}
