package doctor

import (
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// No kernel of the tests lacks nf_tables.
func TestNoRules(t *testing.T) {
	p := &Patient{Node: &node.Node{NoRules: errors.New("the kernel has no nf_tables")}}
	found := p.Run()
	if len(found) != 1 || found[0].Check != "nf-tables" || !strings.Contains(found[0].Fix, "modprobe -a nf_tables ") || Status(found) != 2 {
		t.Errorf("found %+v", found)
	}
}

// A runtime's process that keeps a port is no server of the host's.
func TestKeepsPorts(t *testing.T) {
	for process, want := range map[string]bool{
		"sleep[12]": true, "conmon[3]": true, "crio[4]": true, // nerdctl, podman, CRI-O
		"nginx[5]": false, "sleepy[6]": false, "a process": false,
	} {
		if got := keepsPorts(process); got != want {
			t.Errorf("%s: got %t", process, got)
		}
	}
}

// turns hands out lists of attachments, one for each look.
func turns(lists ...[]*attachment.Attachment) (read func() (*node.Node, []*attachment.Attachment, error), looks *int) {
	looks = new(int)
	return func() (*node.Node, []*attachment.Attachment, error) {
		*looks++
		return &node.Node{}, lists[*looks-1], nil
	}, looks
}

func orphan(name string) *attachment.Attachment {
	gone := plan.Finding{Kind: plan.NamespaceKind, Object: "its namespace " + name, Field: "link", Text: " is gone"}
	return &attachment.Attachment{Network: "lan", Container: name, IfName: "eth0", Tag: name, State: attachment.Orphan, Findings: plan.Drift{gone}, Cached: &node.Cached{}}
}

// What one look found of one thing, and the next of another, is no finding.
func TestLook(t *testing.T) {
	for _, tt := range []struct {
		name  string
		lists [][]*attachment.Attachment
		want  string
	}{
		{"well", [][]*attachment.Attachment{{}}, ""},
		{"one that is gone", [][]*attachment.Attachment{{orphan("a")}, {}}, ""},
		{"another one each time", [][]*attachment.Attachment{{orphan("a")}, {orphan("b")}}, ""},
		{"one that stays", [][]*attachment.Attachment{{orphan("a"), orphan("b")}, {orphan("b"), orphan("c")}}, "1 cache entry of lan/b/eth0: its namespace b is gone"},
	} {
		read, looks := turns(tt.lists...)
		_, found, err := Look(read)
		text := ""
		for _, f := range found {
			text += f.Evidence
		}
		if err != nil || text != tt.want || *looks != len(tt.lists) {
			t.Errorf("%s: %d looks, %v: %q, want %q", tt.name, *looks, err, text, tt.want)
		}
	}
}

// Two long lists that have only their ends in common are compared whole.
func TestLookAtMany(t *testing.T) {
	var first, second []*attachment.Attachment
	for i := range 20 {
		first, second = append(first, orphan(fmt.Sprint("a", i))), append(second, orphan(fmt.Sprint("a", 13+i)))
	}
	read, _ := turns(first, second)
	_, found, err := Look(read)
	if err != nil || len(found) != 7 || !strings.Contains(found[0].Evidence, "a13") {
		t.Errorf("%v: %+v", err, found)
	}
	want := "7 times in network lan, such as 1 cache entry of lan/a13/eth0: its namespace a13 is gone; 1 cache entry of lan/a14/eth0: its namespace a14 is gone"
	if one := Grouped(found); len(one) != 1 || one[0].Evidence != want || one[0].Fix != "bridgeport gc" {
		t.Errorf("grouped: %+v", one)
	}
}

func TestGrouped(t *testing.T) {
	var list []Finding
	for i := range 12 {
		list = append(list, Finding{Check: "unsure", Evidence: fmt.Sprint("e", i), Fix: fmt.Sprint("f", i), about: fmt.Sprintf("n%d/c%d/eth0", i%2, i)})
	}
	list = append(list, Finding{Check: "unsure", Evidence: "other", about: "10.0.0.0/24"}, Finding{Check: "drift", about: "n0/x/eth0"})
	got := Grouped(list)
	if len(got) != 4 || got[0].Evidence != "6 times in network n0, such as e0; e2" || got[0].Fix != "f0\nf2\n# and so on: bridgeport doctor -v has all of them" ||
		got[1].Evidence != "6 times in network n1, such as e1; e3" || got[2].Evidence != "other" || got[3].Check != "drift" {
		t.Errorf("%+v", got)
	}
}

// Of a network that neither a file nor the cache describes only the name is known.
func TestNetworkWithoutConfiguration(t *testing.T) {
	p := &Patient{Node: &node.Node{}, Networks: []attachment.Network{{Name: "a"}, {Name: "b", Bridge: "b0", Attachments: 1}}}
	for _, p.check = range Checks() {
		p.check.look(p)
	}
}
