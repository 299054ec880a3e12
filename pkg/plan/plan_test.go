package plan

import (
	"errors"
	"strings"
	"testing"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
)

// step is an object that notes what is done to it.
type step struct {
	name  string
	calls *[]string
	fails string // the verb that fails
}

func (s step) do(verb string) error {
	*s.calls = append(*s.calls, verb+" "+s.name)
	if s.fails == verb {
		return errors.New(s.name + ": broken")
	}
	return nil
}

func (s step) Add(*Session) error   { return s.do("add") }
func (s step) Check(*Session) error { return s.do("check") }
func (s step) Del(*Session) error   { return s.do("del") }
func (s step) String() string       { return strings.Trim(s.name, "-") }

// steps makes a plan of "a!add" (fails in add) and "b" (does not).
func steps(calls *[]string, shared, own string) Plan {
	list := func(text string) []Object {
		var objects []Object
		for _, word := range strings.Fields(text) {
			name, fails, _ := strings.Cut(word, "!")
			objects = append(objects, step{name, calls, fails})
		}
		return objects
	}
	return Plan{Shared: list(shared), Own: list(own)}
}

func TestPlanVerbs(t *testing.T) {
	tests := []struct {
		name, verb, shared, own string
		calls, err              string
	}{
		{"in order", "add", "s t", "a b", "add s, add t, add a, add b", ""},
		{"shared fails, nothing of ours is there", "add", "s!add t", "a b", "add s", "s: broken"},
		{"own fails, what was made goes", "add", "s", "a b!add c", "add s, add a, add b, del a", "b: broken"},
		{"undo fails, too, and goes on", "add", "", "a b!del c!add", "add a, add b, add c, del b, del a", "c: broken\nundo: delete: b: broken"},
		{"check all", "check", "s!check t", "a!check b", "check s, check t, check a, check b", "s: broken\na: broken"},
		{"delete backwards, never what is shared", "del", "s", "a b!del c", "del c, del b, del a", "delete: b: broken"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var calls []string
			p := steps(&calls, tt.shared, tt.own)
			h := &Session{Host: &rtnl.Conn{}}
			err := map[string]func(*Session) error{"add": p.Add, "check": p.Check, "del": p.Del}[tt.verb](h)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if got := strings.Join(calls, ", "); got != tt.calls || text != tt.err {
				t.Errorf("got  %s: %q\nwant %s: %q", got, text, tt.calls, tt.err)
			}
		})
	}
}

func TestPlanString(t *testing.T) {
	if got := steps(nil, "s --", "a b").String(); got != "s\na\nb\n" {
		t.Errorf("got %q", got)
	}
}

// TestLeadsToContainers: a VLAN or a macvlan of a bridge, or of a bridge's port, leads to containers.
func TestLeadsToContainers(t *testing.T) {
	links := []*rtnl.Link{{Index: 1, Kind: "bridge"}, {Index: 2, Master: 1}, {Index: 3}}
	for below, want := range map[int]bool{1: true, 2: true, 3: false, 0: false} {
		if got := leadsToContainers(&rtnl.Link{Index: 9, Kind: "vlan", Peer: below, PeerNS: -2}, links, nil); got != want {
			t.Errorf("over link %d: %v", below, got)
		}
	}
	// The number is of another namespace.
	if leadsToContainers(&rtnl.Link{Index: 9, Kind: "ipvlan", Peer: 1, PeerNS: 0}, links, nil) {
		t.Error("over a link of another namespace")
	}
}
