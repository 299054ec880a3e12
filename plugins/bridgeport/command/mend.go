package command

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/mend"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func doctorCommand(o *options) *cobra.Command {
	var list, verbose bool
	c := &cobra.Command{
		Use:   "doctor",
		Short: "Tell what is wrong with this node's container networks, and how to fix it",
		Long: `Ask every check. Each finding tells what it saw, what follows from it, and the command
that fixes it.

Exit status: 0 all is well, 1 there are warnings, 2 something does not work.`,
		Example: `  bridgeport doctor
  bridgeport doctor --list
  bridgeport doctor -o json | jq -r '.findings[] | .fix'`,
	}
	c.Flags().BoolVar(&list, "list", false, "list the checks and do nothing")
	c.Flags().BoolVarP(&verbose, "verbose", "v", false, "each finding by itself, and the checks that found nothing")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if list {
			return listChecks(p)
		}
		busy := show.Busy("examining the node")
		_, found, err := doctor.Look(o.once)
		busy.Done()
		if err != nil {
			return err
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
	return p.Value(all, func() { p.Table([]string{"CHECK", "SEVERITY", "WELL IF"}, rows, "SEVERITY") })
}

func printFindings(p *show.Printer, found []doctor.Finding, verbose bool) {
	bad := make(map[string]bool)
	for _, f := range found {
		bad[f.Check] = true
	}
	shown := found
	if !verbose {
		shown = doctor.Grouped(found)
	}
	for _, f := range shown {
		mark := p.Warn("warn")
		if f.Severity == doctor.Fail {
			mark = p.Bad("FAIL")
		}
		p.Line("%s  %s", mark, p.Title(f.Check))
		p.Line("      seen  %s", show.Wrap(f.Evidence, p.Room(12, 88), "            "))
		p.Line("      so    %s", show.Wrap(f.Consequence, p.Room(12, 88), "            "))
		p.Line("      fix   %s\n", p.Name(strings.ReplaceAll(f.Fix, "\n", "\n            ")))
	}
	checks := doctor.Checks()
	for _, c := range checks {
		if verbose && !bad[c.Name] {
			p.Hang("  "+p.Good("ok")+"  ", p.Title(c.Name)+": "+c.About)
		}
	}
	fails := len(slices.DeleteFunc(slices.Clone(found), func(f doctor.Finding) bool { return f.Severity != doctor.Fail }))
	summary := p.Good("all is well")
	if len(found) > 0 {
		summary = show.Count(fails, "failure") + ", " + show.Count(len(found)-fails, "warning")
	}
	p.Line("%s: %s", show.Count(len(checks), "check"), summary)
}

func gcCommand(o *options) *cobra.Command {
	var dry bool
	var grace time.Duration
	c := &cobra.Command{
		Use:   "gc",
		Short: "Remove what belongs to no living attachment",
		Long: `List what dead attachments have left, and remove it: rules, leases, entries of libcni's
cache. Dead is what has no link, whose namespace is gone or has no such interface,
and whose addresses no namespace has. What is in doubt stays, and is listed with the
reason; so does what is younger than --grace, since an ADD takes its lease first.`,
		Example: `  bridgeport gc --dry-run
  bridgeport gc
  bridgeport gc --grace 30s`,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "list it and change nothing")
	c.Flags().DurationVar(&grace, "grace", 5*time.Minute, "keep what is younger") // no runtime lets an ADD take longer
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		if v.NoRules != nil {
			return fmt.Errorf("gc: refused: rules can't be read, so dead and living can't be told apart: %w", v.NoRules)
		}
		dead := mend.Dead(v.Node, v.list, grace)
		if p.Format == "table" {
			printDead(p, dead, dry)
		}
		if dry {
			return p.Value(dead, func() {})
		}
		busy := show.Busy("removing")
		err := mend.Remove(dead, busy.Step)
		busy.Done()
		return cmp.Or(p.Value(dead, func() {
			if err == nil {
				printRemoved(p, dead)
			}
		}), err)
	})
	return c
}

func printDead(p *show.Printer, dead []mend.Removal, dry bool) {
	if len(dead) == 0 {
		p.Line("nothing is dead")
		return
	}
	remove := p.Bad("remove")
	if dry {
		remove = p.Bad("would remove")
	}
	for _, r := range dead {
		if r.Kept == "" {
			p.Hang(remove+" "+p.Name(r.Name)+": ", r.Why)
		} else {
			p.Hang(p.Warn("keep")+" "+p.Name(r.Name)+": ", r.Why)
			p.Hang("  kept: ", r.Kept)
		}
		for _, item := range r.Items {
			p.Hang("  ", item)
		}
	}
}

func printRemoved(p *show.Printer, dead []mend.Removal) {
	removed := 0
	for _, r := range dead {
		if r.Kept == "" {
			removed++
		} else if r.Back {
			p.Hang(p.Warn("kept")+" "+r.Name+": ", r.Kept)
		}
	}
	p.Line("removed %d, kept %d", removed, len(dead)-removed)
}

func repairCommand(o *options) *cobra.Command {
	var dry bool
	c := &cobra.Command{
		Use:   "repair",
		Short: "Put back what living attachments lack",
		Long: `Compare each living attachment with what its ADD made, by libcni's cache, and put back
what is missing or changed: after ` + "`nft flush ruleset`" + `, a reload of a firewall or of
sysctls, a deleted bridge. What is as it should be is not touched, so connections
go on.

Exit status: 0 nothing is missing any more, 1 something could not be mended.`,
		Example: `  bridgeport repair --dry-run
  bridgeport repair`,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "print the commands and change nothing")
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		busy := show.Busy("comparing with what ADD made")
		mended := mend.Repair(v.list, dry, busy.Step)
		busy.Done()
		failed := slices.ContainsFunc(mended, func(m mend.Mended) bool { return m.Error != "" })
		return exit(p.Value(mended, func() { printMended(p, mended, dry) }), failed, 1)
	})
	return c
}

func printMended(p *show.Printer, mended []mend.Mended, dry bool) {
	seen := make(map[string]bool) // shared objects are the same for all
	for _, m := range mended {
		state := p.Good("mended")
		switch {
		case dry:
			state = p.Warn("would mend")
		case m.Error != "":
			state = p.Bad("failed")
		case m.Gone:
			state = p.Warn("deleted meanwhile")
		}
		p.Line("%s %s", state, p.Name(m.Name))
		for _, command := range m.Commands {
			if !seen[command] {
				seen[command] = true
				p.Line("  %s", command)
			}
		}
		if m.Error != "" {
			p.Hang("  ", m.Error)
		}
	}
	if len(mended) == 0 {
		p.Line("nothing to mend")
	}
}
