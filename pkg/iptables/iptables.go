// Package iptables is the compatible backend: the chains and rules of the reference plugins, for
// people who read them and for kernels without nf_tables. It executes programs, as only delegation
// does beside it: one iptables-restore for each family and change, and one listing for each chain
// that must be read.
package iptables

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
)

const (
	// waitSeconds bounds the wait for xtables' own lock.
	waitSeconds = "20"
	// timeout bounds a run: legacy iptables takes about a second with 30,000 rules.
	timeout = 60 * time.Second
)

// ErrMissing says that the programs are not installed.
var ErrMissing = errors.New("iptables is not installed")

// Variant is which iptables: "" is what the administrator has chosen, "nft" and
// "legacy" are the two that may stand behind it.
type Variant string

// Family is IPv4 or IPv6 of one variant.
type Family struct {
	IPv6    bool
	Variant Variant
}

// Families are IPv4 and IPv6, of the variant that the administrator has chosen.
func Families() []Family { return FamiliesOf("") }

// FamiliesOf are IPv4 and IPv6 of a variant.
func FamiliesOf(v Variant) []Family { return []Family{{Variant: v}, {IPv6: true, Variant: v}} }

// Commands are the lines of both families as commands, for people.
func Commands(lines func(ipv6 bool) []string) string {
	var out []string
	for _, f := range Families() {
		for _, line := range lines(f.IPv6) {
			out = append(out, f.program("")+" -t nat "+declared(line))
		}
	}
	return strings.Join(out, "\n")
}

func (f Family) program(suffix string) string {
	name := "iptables"
	if f.IPv6 {
		name = "ip6tables"
	}
	if f.Variant != "" {
		name += "-" + string(f.Variant)
	}
	return name + suffix
}

// path finds a program in PATH and beside it: runtimes start plugins with little in PATH.
func path(name string) (string, error) {
	for _, dir := range append(filepath.SplitList(os.Getenv("PATH")), "/usr/sbin", "/sbin", "/usr/local/sbin") {
		file := filepath.Join(dir, name)
		if st, err := os.Stat(file); filepath.IsAbs(dir) && err == nil && st.Mode().IsRegular() && st.Mode()&0o111 != 0 {
			return file, nil
		}
	}
	if file := byVersion(name); file != "" {
		return file, nil
	}
	return "", fmt.Errorf("%w: no %s in PATH", ErrMissing, name)
}

// byVersion is the program without the variant in its name, where it says that it is of that
// variant: "iptables v1.8.9 (nf_tables)". Before 1.8 all were legacy, and said nothing.
func byVersion(name string) string {
	overNFT := strings.Contains(name, "-nft")
	plain := strings.NewReplacer("-nft", "", "-legacy", "").Replace(name)
	if plain == name {
		return ""
	}
	text, err := run("", plain, "--version")
	if err != nil || strings.Contains(text, "(nf_tables)") != overNFT {
		return ""
	}
	file, _ := path(plain) // it was just run
	return file
}

// Available is nil if both programs of the family are there.
func (f Family) Available() error {
	_, err1 := path(f.program(""))
	_, err2 := path(f.program("-restore"))
	return errors.Join(err1, err2)
}

func run(stdin, program string, args ...string) (string, error) {
	file, err := path(program)
	if err != nil {
		return "", err
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	cmd := exec.CommandContext(ctx, file, args...)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &stdout, &stderr
	// If we are killed, the program must not go on: it would add rules after the DEL that follows.
	// The kernel sends the signal when the thread that started the program ends.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if err := netns.Stay(cmd.Run); err != nil {
		return "", &RunError{Program: program, Text: strings.TrimSpace(stderr.String()), Err: err}
	}
	return stdout.String(), nil
}

// RunError is a program's failure, with the program's text.
type RunError struct {
	Program, Text string
	Err           error
}

func (e *RunError) Error() string {
	said := strings.TrimPrefix(strings.ReplaceAll(e.Text, "\n", ", ")+": ", ": ") // nothing where it did not start
	return fmt.Sprintf("%s: %s%v", e.Program, said, e.Err)
}

func (e *RunError) Unwrap() error { return e.Err }

// Restore applies lines of table nat in one transaction: all or nothing. The lines are those of
// iptables-save(8), without the table and COMMIT. A chain's declaration empties the chain.
func (f Family) Restore(lines []string) error {
	return f.restore(map[string][]string{"nat": lines})
}

// restore is Restore for several tables. Table raw comes first: it holds the guard
// that must be there before anything relies on it.
func (f Family) restore(tables map[string][]string) error {
	var text strings.Builder
	for _, table := range []string{"raw", "nat", "filter"} {
		if lines := tables[table]; len(lines) > 0 {
			fmt.Fprintf(&text, "*%s\n%s\nCOMMIT\n", table, strings.Join(lines, "\n"))
		}
	}
	if text.Len() == 0 {
		return nil
	}
	_, err := run(text.String(), f.program("-restore"), "--noflush", "--wait", waitSeconds)
	return err
}

// list is a chain as `iptables -S` prints it, its own line first; nil without such a chain.
func (f Family) list(table, chain string) ([]string, error) {
	out, err := run("", f.program(""), "--wait", waitSeconds, "-t", table, "-S", chain)
	var failed *RunError
	if errors.As(err, &failed) && noChain(failed.Text, chain) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return strings.Split(strings.TrimSpace(out), "\n"), nil
}

// lists is list for several chains of table nat, each of which takes a process.
func (f Family) lists(chains ...string) (all [][]string, err error) {
	for _, chain := range chains {
		list, err := f.list("nat", chain)
		if err != nil {
			return nil, err
		}
		all = append(all, list)
	}
	return all, nil
}

// declared is a line for iptables-restore as a command has it.
func declared(line string) string {
	if chain, ok := strings.CutPrefix(line, ":"); ok {
		return "-N " + strings.Fields(chain)[0]
	}
	return line
}

// asListed is a line for iptables-restore as `iptables -S` prints it.
func asListed(line string) string { return strings.Replace(declared(line), "-I ", "-A ", 1) }

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

// deletion is the line that deletes a rule of a list.
func deletion(rule string) string { return "-D" + strings.TrimPrefix(rule, "-A") }

// noChain knows what variants say of a missing chain; 1.8.9 over nf_tables: "incompatible".
func noChain(text, chain string) bool {
	return strings.Contains(text, "No chain/target/match") || strings.Contains(text, "chain `"+chain+"' in table")
}

// LegacyInUse says whether the namespace has the legacy table. Other ways would load the modules.
func (f Family) LegacyInUse(table string) bool {
	name := "/proc/thread-self/net/ip_tables_names"
	if f.IPv6 {
		name = "/proc/thread-self/net/ip6_tables_names"
	}
	data, err := file.Read(name)
	return err == nil && strings.Contains("\n"+string(data), "\n"+table+"\n")
}
