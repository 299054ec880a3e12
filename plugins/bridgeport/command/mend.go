package command

import (
	"fmt"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/mend"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// usualGrace is longer than any runtime lets an ADD take.
const usualGrace = 5 * time.Minute

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
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "list it and change nothing")
	c.Flags().DurationVar(&grace, "grace", usualGrace, "keep what is younger")
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		if v.NoRules != nil {
			return fmt.Errorf("gc: refused: rules can't be read, so dead and living can't be told apart: %w", v.NoRules)
		}
		var err error
		dead := mend.Dead(v.Node, v.list, grace)
		if p.Format == "table" {
			printDead(p, dead, dry)
		}
		if !dry {
			err = mend.Remove(dead)
		}
		if p.Format != "table" {
			if perr := p.Value(dead, nil); perr != nil {
				return perr
			}
		} else if err == nil && !dry {
			printRemoved(p, dead)
		}
		return err
	})
	return c
}

func printDead(p *show.Printer, dead []mend.Removal, dry bool) {
	if len(dead) == 0 {
		p.Line("nothing is dead")
		return
	}
	for _, r := range dead {
		verb := p.Bad("remove")
		if dry {
			verb = p.Bad("would remove")
		}
		if r.Kept != "" {
			verb = p.Warn("keep")
		}
		p.Line("%s %s: %s", verb, p.Name(r.Name), r.Why)
		if r.Kept != "" {
			p.Line("  kept: %s", r.Kept)
		}
		for _, item := range r.Items {
			p.Line("  %s", item)
		}
	}
}

func printRemoved(p *show.Printer, dead []mend.Removal) {
	removed := 0
	for _, r := range dead {
		if r.Kept == "" {
			removed++
		} else if r.Back {
			p.Line("%s %s: %s", p.Warn("kept"), r.Name, r.Kept)
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
go on. The exit status is 1 where something could not be mended.`,
		Example: `  bridgeport repair --dry-run
  bridgeport repair`,
		Args: cobra.NoArgs,
	}
	c.Flags().BoolVar(&dry, "dry-run", false, "print the commands and change nothing")
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		mended := mend.Repair(v.list, dry)
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
		}
		p.Line("%s %s", state, p.Name(m.Name))
		for _, command := range m.Commands {
			if !seen[command] {
				seen[command] = true
				p.Line("  %s", command)
			}
		}
		if m.Error != "" {
			p.Line("  %s", m.Error)
		}
	}
	if len(mended) == 0 {
		p.Line("nothing to mend")
	}
}
