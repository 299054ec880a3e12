package attachment

import (
	"fmt"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// look is a list with one attachment for each state.
func look(states map[string]string, findings map[string]plan.Drift) (list []*Attachment) {
	for _, tag := range []string{"a", "b", "c", "d", "e"} {
		if states[tag] != "" {
			list = append(list, &Attachment{Tag: tag, State: states[tag], Findings: findings[tag]})
		}
	}
	return list
}

func TestLasting(t *testing.T) {
	rules, mtu := plan.Finding{Kind: plan.ElementKind, Object: "its rules", Text: " are missing"}, plan.Finding{Kind: plan.LinkKind, Object: "veth x", Field: "mtu", Actual: "1"}
	gone := plan.Finding{Kind: plan.NamespaceKind, Object: "its namespace x", Field: "link", Text: " is gone"}
	changed := mtu
	changed.Actual = "2"
	first := look(map[string]string{"a": Drift, "b": OK, "c": Orphan, "d": Drift}, map[string]plan.Drift{"a": {rules, mtu}, "c": {gone}, "d": {rules}})
	second := look(map[string]string{"a": Drift, "b": Orphan, "c": Orphan, "d": Drift, "e": Orphan}, map[string]plan.Drift{"a": {changed}, "b": {gone}, "c": {gone}, "d": {mtu}, "e": {gone}})
	got := ""
	for _, a := range Lasting(first, second) {
		got += fmt.Sprintln(a.Tag, a.State, a.Findings.Error())
	}
	want := "a drift veth x: mtu is 2, expected \nb ok \nc orphan its namespace x is gone\nd ok \n"
	if got != want {
		t.Errorf("got\n%swant\n%s", got, want)
	}
	if list := Lasting(first, look(map[string]string{"e": Drift}, map[string]plan.Drift{"e": {rules}})); len(list) != 1 || list[0].State != OK || len(list[0].Findings) > 0 {
		t.Errorf("one that has just begun: %+v", list)
	}
}
