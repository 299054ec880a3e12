package stage

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/coreos/go-iptables/iptables"
)

// Xtables is one of the two programs that answer to the name iptables. Which one an
// administrator has chosen is not asked: a folder that comes first in PATH decides.
type Xtables struct{ dir string }

// NewXtables makes the folder, and puts it into the PATH of the stage's plugins.
func NewXtables(s *Stage, variant string) Xtables {
	s.Helper()
	program, err := exec.LookPath("xtables-" + variant + "-multi")
	if err != nil {
		s.Fatal("iptables is needed: apt-get install iptables: ", err)
	}
	x := Xtables{filepath.Join(s.Dir, "xtables-"+variant)}
	s.Env = []string{"PATH=" + x.dir + ":" + os.Getenv("PATH")}
	if err := os.Mkdir(x.dir, 0o755); errors.Is(err, os.ErrExist) {
		return x
	}
	for _, name := range []string{"iptables", "iptables-restore", "iptables-save"} {
		for _, link := range []string{name, strings.Replace(name, "ip", "ip6", 1)} {
			s.Must(os.Symlink(program, x.Path(link)))
		}
	}
	if _, err := Try(s.Space("xt"+variant), "", x.Path("iptables"), "-t", "nat", "-S"); err != nil {
		Missing(s.T, variant+" iptables ("+err.Error()+")")
	}
	return x
}

// Path is where a program is.
func (x Xtables) Path(name string) string { return filepath.Join(x.dir, name) }

// Run is iptables; words are separated by spaces.
func (x Xtables) Run(s *Space, words string) string {
	s.t.Helper()
	return Program(s, "", x.Path("iptables"), strings.Fields(words)...)
}

// Both is iptables and ip6tables.
func (x Xtables) Both(s *Space, words string) {
	s.t.Helper()
	x.Run(s, words)
	Program(s, "", x.Path("ip6tables"), strings.Fields(words)...)
}

// Families are the programs that have rules: iptables and ip6tables.
var Families = []string{"iptables", "ip6tables"}

// each calls do with every chain of table nat of a program, and its rules, "-A CHAIN ...",
// behind the line that makes the chain.
func (x Xtables) each(s *Space, program string, do func(ipt *iptables.IPTables, chain string, rules []string) error) {
	s.t.Helper()
	family := iptables.IPFamily(iptables.ProtocolIPv4)
	if program == "ip6tables" {
		family = iptables.IPFamily(iptables.ProtocolIPv6)
	}
	Inside(s, func() error {
		ipt, err := iptables.New(family, iptables.Path(x.Path(program)))
		if err != nil {
			return err
		}
		chains, err := ipt.ListChains("nat")
		for _, chain := range chains {
			rules, lerr := ipt.List("nat", chain)
			if err = errors.Join(err, lerr); err == nil {
				err = do(ipt, chain, rules)
			}
		}
		return err
	})
}

// Saved is table nat of the programs, a rule a line.
func (x Xtables) Saved(s *Space, programs ...string) string {
	s.t.Helper()
	var all []string
	for _, program := range programs {
		x.each(s, program, func(_ *iptables.IPTables, _ string, rules []string) error {
			all = append(all, rules...)
			return nil
		})
	}
	return strings.Join(all, "\n")
}

// Delete deletes the first rule of table nat that pick is true for, and returns it.
func (x Xtables) Delete(s *Space, program string, pick func(rule string) bool) (deleted string) {
	s.t.Helper()
	x.each(s, program, func(ipt *iptables.IPTables, chain string, rules []string) error {
		for i, rule := range rules {
			if i > 0 && deleted == "" && pick(rule) {
				deleted = rule
				return ipt.DeleteById("nat", chain, i)
			}
		}
		return nil
	})
	if deleted == "" {
		s.t.Fatal("there is no such rule")
	}
	return deleted
}

// ExpectTwins wants both hosts to have the same rules in the same order.
func (x Xtables) ExpectTwins(ours, theirs *Space, programs ...string) {
	ours.t.Helper()
	as := func(s *Space) snapshot.Snapshot {
		return snapshot.Snapshot{"table nat": x.Saved(s, programs...)}
	}
	if diff := snapshot.Diff(as(theirs), as(ours)); len(diff) > 0 {
		ours.t.Fatal("- theirs, + ours\n" + strings.Join(diff, "\n"))
	}
}

// Attachments are the rules that belong to containers.
func (x Xtables) Attachments(s *Space) (lines []string) {
	s.t.Helper()
	for line := range strings.Lines(x.Saved(s, Families...)) {
		if strings.Contains(line, "CNI-") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
