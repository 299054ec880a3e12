package command

import (
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// settle is how long a call of a plugin may take to make what it makes: what is there half of
// then, in one look and not in the next, is no finding.
const settle = 200 * time.Millisecond

func doctorCommand(o *options) *cobra.Command {
	var list, verbose bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what is wrong with this node's container networks, and how to fix it",
		Long: `Ask every check. Each finding tells what it saw, what follows from it, and the command
that fixes it. Exit status: 0 all is well, 1 there are warnings, 2 something does
not work.`,
		Example: `  bridgeport doctor
  bridgeport doctor --list
  bridgeport doctor -o json | jq -r '.findings[] | .fix'`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&list, "list", false, "list the checks and do nothing")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "name the checks that found nothing, too")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if list {
			return listChecks(p)
		}
		n, attachments, err := o.look()
		if err != nil {
			return err
		}
		found := doctor.Examine(n, attachments).Run()
		if len(found) > 0 {
			time.Sleep(settle)
			if n, attachments, err = o.look(); err != nil {
				return err
			}
			found = doctor.Lasting(found, doctor.Examine(n, attachments).Run())
		}
		status := doctor.Status(found)
		return exit(p.Value(map[string]any{"findings": found, "status": status}, func() { printFindings(p, found, verbose) }), status != 0, status)
	})
	return c
}

func listChecks(p *show.Printer) error {
	type check struct {
		Name        string `json:"name"`
		Severity    string `json:"severity"`
		Well        string `json:"well"`
		Consequence string `json:"consequence"`
	}
	var all []check
	var rows [][]string
	for _, c := range doctor.Checks() {
		all = append(all, check{c.Name, c.Severity, c.About, c.Consequence})
		rows = append(rows, []string{p.Name(c.Name), c.Severity, c.About})
	}
	return p.Value(all, func() { p.Table([]string{"CHECK", "SEVERITY", "WELL IF"}, rows) })
}

func printFindings(p *show.Printer, found []doctor.Finding, verbose bool) {
	bad := make(map[string]bool)
	for _, f := range found {
		bad[f.Check] = true
		mark := p.Warn("warn")
		if f.Severity == doctor.Fail {
			mark = p.Bad("FAIL")
		}
		p.Line("%s  %s", mark, p.Title(f.Check))
		p.Line("      seen  %s", show.Wrap(f.Evidence, 88, "            "))
		p.Line("      so    %s", show.Wrap(f.Consequence, 88, "            "))
		p.Line("      fix   %s\n", p.Name(strings.ReplaceAll(f.Fix, "\n", "\n            ")))
	}
	checks := doctor.Checks()
	for _, c := range checks {
		if verbose && !bad[c.Name] {
			p.Line("%s  %s: %s", p.Good("  ok"), p.Title(c.Name), c.About)
		}
	}
	fails := len(slices.DeleteFunc(slices.Clone(found), func(f doctor.Finding) bool { return f.Severity != doctor.Fail }))
	summary := p.Good("all is well")
	if len(found) > 0 {
		summary = show.Count(fails, "failure") + ", " + show.Count(len(found)-fails, "warning")
	}
	p.Line("%s: %s", show.Count(len(checks), "check"), summary)
}
