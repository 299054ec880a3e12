package iptables

import (
	"encoding/binary"
	"fmt"
	"slices"
	"strings"
)

// Legacy is the programs of legacy tables, by the names that they have beside others.
const Legacy Variant = "legacy"

// DockerUser is the chain that Docker keeps for the administrator's rules. Docker's own come later.
const DockerUser = "DOCKER-USER"

// forwardHook is NF_INET_FORWARD.
const forwardHook = 2

// hookEntries and hookDefaults are where struct ipt_getinfo has the places of the hooks' first
// rules, and of the rules that are the chains' policies.
const hookEntries, hookDefaults = tableName + 4, tableName + 4 + 5*4

// AcceptComment is the comment of our rules in strangers' chains, here and in package strangers.
func AcceptComment(bridge string) string { return "bridgeport: forward " + bridge }

// forwardTable is the legacy table filter.
type forwardTable struct {
	rules       []legacyRule
	first, last int // indexes of FORWARD: its first rule and its policy
}

// LegacyForward says whether the legacy FORWARD chain drops new connections from the bridge; no
// without such a table. It reads the kernel's table and executes nothing.
func (f Family) LegacyForward(bridge string) (blocked bool, err error) {
	t, err := f.forwardTable()
	if err != nil || t == nil {
		return false, err
	}
	return t.drops() && !t.mayAccept(t.first, t.last, bridge, make(map[int]bool)), nil
}

// forwardTable is nil where the namespace has none.
func (f Family) forwardTable() (*forwardTable, error) {
	if !f.LegacyInUse("filter") {
		return nil, nil
	}
	info, table, err := f.legacyTable("filter")
	if err != nil {
		return nil, err
	}
	t := &forwardTable{rules: legacyRules(map[bool]layout{false: layout4, true: layout6}[f.IPv6], table)}
	t.first = t.at(int(binary.NativeEndian.Uint32(info[hookEntries+forwardHook*4:])))
	t.last = t.at(int(binary.NativeEndian.Uint32(info[hookDefaults+forwardHook*4:])))
	if t.first < 0 || t.last < t.first {
		return nil, fmt.Errorf("legacy iptables: table filter of %d bytes has no chain FORWARD", len(table))
	}
	return t, nil
}

// at is the index of the rule at a place of the table, -1 if there is none.
func (t *forwardTable) at(place int) int {
	return slices.IndexFunc(t.rules, func(r legacyRule) bool { return r.place == place })
}

// drops says whether a packet that no rule accepts is dropped: by the policy, or by a last rule
// without a condition.
func (t *forwardTable) drops() bool {
	return slices.ContainsFunc(t.rules[max(t.first, t.last-1):t.last+1], func(r legacyRule) bool {
		v, standard := r.verdict()
		return r.unconditional() && (standard && v == verdictDrop || r.target == "REJECT")
	})
}

// mayAccept says whether a rule from first on, up to the chain's end, or of a chain that such a
// rule jumps to, may accept any new connection from the bridge.
func (t *forwardTable) mayAccept(first, last int, bridge string, seen map[int]bool) bool {
	if seen[first] {
		return false
	}
	seen[first] = true
	for i := first; i < last && t.rules[i].target != "ERROR"; i++ { // the head of the next chain
		v, standard := t.rules[i].verdict()
		if !standard || t.rules[i].notFor(bridge) {
			continue
		}
		if v == verdictAccept {
			return true
		}
		if to := t.at(v); v >= 0 && to >= 0 && t.mayAccept(to, len(t.rules), bridge, seen) {
			return true
		}
	}
	return false
}

// accepts says whether the table has one of our rules, for a link that belongs says yes to.
func (t *forwardTable) accepts(belongs func(link string) bool) bool {
	return slices.ContainsFunc(t.rules, func(r legacyRule) bool { return isOurs(r.comment, belongs) })
}

func isOurs(comment string, belongs func(link string) bool) bool {
	link, is := strings.CutPrefix(comment, AcceptComment(""))
	return is && belongs(link)
}

// has says whether the table has a chain of that name.
func (t *forwardTable) has(chain string) bool {
	return slices.ContainsFunc(t.rules, func(r legacyRule) bool { return r.target == "ERROR" && text(r.of) == chain })
}

// AcceptLegacy inserts rules that accept packets from and to the bridge at the head of the legacy
// FORWARD chain, or of Docker's chain for such rules. If they are not needed it executes nothing.
func (f Family) AcceptLegacy(bridge string) error {
	t, err := f.forwardTable()
	if err != nil || t == nil || !t.drops() || t.accepts(func(link string) bool { return link == bridge }) {
		return err
	}
	chain := "FORWARD"
	if t.has(DockerUser) {
		chain = DockerUser
	}
	var lines []string
	for _, side := range []string{"-o", "-i"} {
		lines = append(lines, fmt.Sprintf("-I %s %s %s -m comment --comment %q -j ACCEPT", chain, side, bridge, AcceptComment(bridge)))
	}
	f.Variant = Legacy
	return f.restore(map[string][]string{"filter": lines})
}

// UnacceptLegacy removes AcceptLegacy's rules for a bridge's links; without any it executes nothing.
func (f Family) UnacceptLegacy(belongs func(link string) bool) error {
	t, err := f.forwardTable()
	if err != nil || t == nil || !t.accepts(belongs) {
		return err
	}
	f.Variant = Legacy
	var lines []string
	for _, chain := range []string{"FORWARD", DockerUser} {
		list, err := f.list("filter", chain)
		if err != nil {
			return err
		}
		for _, line := range list {
			_, comment, _ := strings.Cut(line, `--comment "`)
			if comment, _, _ = strings.Cut(comment, `"`); isOurs(comment, belongs) {
				lines = append(lines, deletion(line))
			}
		}
	}
	return f.restore(map[string][]string{"filter": lines})
}
