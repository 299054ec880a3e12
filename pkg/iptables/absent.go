package iptables

import (
	"slices"
	"strings"
)

// asListed is a line for iptables-restore as `iptables -S` prints it.
func asListed(line string) string {
	if chain, ok := strings.CutPrefix(line, ":"); ok {
		return "-N " + strings.Fields(chain)[0]
	}
	return strings.Replace(line, "-I ", "-A ", 1)
}

// absent are those of the lines that are not in the table. Each chain takes a process. Without all,
// absent first looks only at PREROUTING and POSTROUTING: if their rules are there, it takes the
// chains that these jump to for whole.
func (f Family) absent(table string, lines []string, all bool) ([]string, error) {
	chainOf := func(line string) string { return strings.Fields(asListed(line))[1] }
	have := make(map[string][]string)
	look := func(only func(chain string) bool) (missing []string, err error) {
		for _, line := range lines {
			chain := chainOf(line)
			if !only(chain) {
				continue
			}
			if _, known := have[chain]; !known {
				if have[chain], err = f.list(table, chain); err != nil {
					return nil, err
				}
			}
			if !slices.Contains(have[chain], asListed(line)) && (all || !jumpsAlike(have[chain], line)) {
				missing = append(missing, line)
			}
		}
		return missing, nil
	}
	if !all {
		missing, err := look(func(chain string) bool { return chain == "PREROUTING" || chain == "POSTROUTING" })
		if err != nil || len(missing) == 0 {
			return nil, err
		}
	}
	return look(func(string) bool { return true })
}

// jumpsAlike says whether one of the rules jumps to the same chain of ours as the line, however this
// version of iptables prints the rest. Otherwise each ADD would write the line once more.
func jumpsAlike(rules []string, line string) bool {
	_, chain, found := strings.Cut(line, " -j "+ChainPrefix)
	return found && slices.ContainsFunc(rules, func(r string) bool { return strings.HasSuffix(r, " -j "+ChainPrefix+chain) })
}
