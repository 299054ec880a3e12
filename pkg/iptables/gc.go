package iptables

import (
	"errors"
	"slices"
	"strings"
)

// Containers lists a network's containers that have rules in the family, by the rules' comments.
func (f Family) Containers(network string) ([]string, error) {
	lists, err := f.lists("POSTROUTING", topDNAT)
	var ids []string
	for _, line := range slices.Concat(lists...) {
		if id, found := idOf(line, network); found && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
	}
	return ids, err
}

// idOf reads `name: "<network>" id: "<container>"` out of a rule that jumps to a container's chain.
func idOf(line, network string) (string, bool) {
	if !strings.Contains(line, " -j "+ChainPrefix) {
		return "", false
	}
	_, rest, _ := strings.Cut(line, `name: \"`+network+`\" id: \"`)
	id, _, found := strings.Cut(rest, `\"`)
	return id, found
}

// Tidy removes the chains of published ports that all containers share, if no container uses them
// any more. Somebody may flush the chains between the look and the change: then Tidy looks again.
func (f Family) Tidy() error {
	err := f.tidy()
	for try := 0; err != nil && try < 2; try++ {
		err = f.tidy()
	}
	return err
}

func (f Family) tidy() (err error) {
	var top []string
	if f.Variant != Legacy || f.LegacyInUse("nat") { // asking would load the table
		if top, err = f.list("nat", topDNAT); err != nil {
			return err
		}
	}
	if len(slices.DeleteFunc(top, isService)) > 1 { // the first is the chain's own line
		return nil
	}
	var lines, raw []string
	if top != nil { // else none is there: they are made in one transaction
		if lines, err = f.sharedLines(); err != nil {
			return err
		}
	}
	if !f.IPv6 {
		if raw, err = f.unguarded(); err != nil {
			return err
		}
	}
	return f.restore(map[string][]string{"raw": raw, "nat": lines})
}

// unguarded are the lines that remove the guard of loopback addresses, if it is there.
func (f Family) unguarded() ([]string, error) {
	have, err := f.list("raw", GuardChain)
	var failed *RunError
	if err != nil && !(errors.As(err, &failed) && failed.Text != "") { // it says that there is no table raw
		return nil, err
	}
	if have == nil {
		return nil, nil
	}
	lines := []string{"-F " + GuardChain, "-X " + GuardChain}
	gone, err := f.absent("raw", []string{"-A " + guardJump}, true)
	if err == nil && len(gone) == 0 { // somebody may have flushed PREROUTING
		lines = append([]string{"-D " + guardJump}, lines...)
	}
	return lines, err
}

// DropGuard removes the guard of loopback addresses, which the reference does not know, also while
// containers have published ports.
func (f Family) DropGuard() error {
	lines, err := f.unguarded()
	if err != nil || lines == nil {
		return err
	}
	return f.restore(map[string][]string{"raw": lines})
}

// sharedLines remove what all containers share in table nat.
func (f Family) sharedLines() (lines []string, err error) {
	jumps, err := f.lists("PREROUTING", "OUTPUT", "POSTROUTING")
	if err != nil {
		return nil, err
	}
	for _, line := range slices.Concat(jumps...) {
		if strings.HasSuffix(line, " -j "+topDNAT) || strings.HasSuffix(line, " -j "+masqChain) {
			lines = append(lines, deletion(line))
		}
	}
	chains := []string{topDNAT, masqChain, setMark}
	have, err := f.lists(chains...)
	for i := range have {
		if have[i] != nil {
			lines = append(lines, "-F "+chains[i], "-X "+chains[i])
		}
	}
	return lines, err
}
