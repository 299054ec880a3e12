package command

import (
	"cmp"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/pkg/install"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/lint"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/mend"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// besides is the directory of this executable, where its plugins are.
func besides() string {
	path, _ := os.Executable() // "" after an error: the directory is "." then
	return filepath.Dir(path)
}

// rollback is the value of --rollback: "" does not go back.
const (
	toLast      = "last"
	toReference = "reference"
)

func installCommand(o *options) *cobra.Command {
	var from, rollback string
	var force bool
	c := &cobra.Command{
		Use:   "install",
		Short: "Install the plugins while the node runs; go back with --rollback",
		Long: `Copy bridge, portmap, host-local, loopback and this command into --bin-dir, each by a
rename, so that a call at any moment finds a whole plugin, old or new. Each new plugin is
tried before anything is changed. The same set again changes nothing.

Plugins that were there and are not ours are kept in .bridgeport-reference, and nothing in
there is ever replaced. Our set before is kept in .bridgeport-previous.

--rollback exchanges the present set and our set before. --rollback=reference puts the
plugins back that were not ours; running containers get the reference's own rules for
published ports and masquerade, so that its DEL removes them, and our rules are removed.

The configurations in --conf-dir are examined afterwards.`,
		Example: `  bridgeport install
  bridgeport install --bin-dir /usr/lib/cni
  bridgeport install --rollback
  bridgeport install --rollback=reference`,
	}
	f := c.Flags()
	f.StringVar(&from, "from", "", "directory with the new set (default: beside this executable, or of the package)")
	f.StringVar(&rollback, "rollback", "", "go back: last, our set before (the same without a value), or reference")
	f.Lookup("rollback").NoOptDefVal = toLast
	f.BoolVar(&force, "force", false, "with --rollback=reference: go on where living containers lose published ports and masquerade")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if from == "" {
			from, _ = node.PluginDir(besides()) // Set says what is missing
			from = cmp.Or(from, besides())
		}
		var done []install.Changed
		var err error
		switch rollback {
		case "":
			if install.SameFile(from, o.place.Bin) {
				return fmt.Errorf("install: %s is where this executable is: give --from or --bin-dir", o.place.Bin)
			}
			done, err = install.Set(from, o.place.Bin)
		case toLast:
			if done, err = install.Rollback(o.place.Bin); errors.Is(err, install.ErrNothingKept) && install.HasReference(o.place.Bin) {
				err = fmt.Errorf("%w: --rollback=reference puts the plugins back that were there before", err)
			}
		case toReference:
			if !install.HasReference(o.place.Bin) {
				return fmt.Errorf("rollback: %s: %w: no plugins but ours have been there", o.place.Bin, install.ErrNothingKept)
			}
			return o.leave(p, mend.Leaving{Force: force}, nil)
		default:
			return fmt.Errorf("--rollback: %q is neither last nor reference", rollback)
		}
		if err != nil {
			return err
		}
		return p.Value(done, func() {
			printChanged(p, done)
			if len(done) == 0 {
				p.Line("%s: this set is installed already, nothing was changed", o.place.Bin)
			}
			o.remarks(p)
		})
	})
	return c
}

func printChanged(p *show.Printer, done []install.Changed) {
	for _, d := range done {
		p.Line("%s: %s → %s", p.Name(d.Path), show.Dash(d.Was), show.Dash(d.Is))
	}
}

func uninstallCommand(o *options) *cobra.Command {
	var l mend.Leaving
	var keep bool
	c := &cobra.Command{
		Use:   "uninstall",
		Short: "Remove Bridgeport from the node, and put the plugins back that were there before",
		Long: `Put the plugins back that were not ours, and remove what Bridgeport made: its tables, bridges
without ports, the index of leases, what dead containers left, and last its programs.
ip_forward is set back to what it was when the last bridge goes.

Running containers keep their network: they get the reference's own rules for published
ports and masquerade, which need the program iptables, and the reference's DEL removes
them. Where that is impossible nothing is changed. Stop what installs the plugins anew, such
as the DaemonSet, first.`,
		Example: `  bridgeport uninstall --dry-run
  bridgeport uninstall`,
	}
	c.Flags().BoolVar(&l.Dry, "dry-run", false, "tell what would be done and change nothing")
	c.Flags().BoolVar(&l.Force, "force", false, "go on where living containers lose published ports and masquerade")
	c.Flags().BoolVar(&keep, "keep-programs", false, "leave our programs where they are: a package removes them")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if keep {
			return o.leave(p, l, nil)
		}
		return o.leave(p, l, func() error { return install.Remove(o.place.Bin) })
	})
	return c
}

// leave goes from our plugins to the reference's, and then calls last, where there is one.
func (o *options) leave(p *show.Printer, l mend.Leaving, last func() error) error {
	l.Place, l.Look = o.place, o.look
	left, err := l.Leave()
	if err == nil && last != nil && !l.Dry {
		err = last()
	}
	if left == nil {
		return err
	}
	return cmp.Or(p.Value(left, func() { printLeft(p, left, l.Dry) }), err)
}

func printLeft(p *show.Printer, left *mend.Left, dry bool) {
	would := map[bool]string{true: "would be ", false: ""}[dry]
	printChanged(p, left.Plugins)
	for _, m := range left.HandedOver {
		p.Line("%shanded over to the reference: %s", would, p.Name(m.Name))
		if m.Error != "" {
			p.Line("  %s %s", p.Bad("failed"), m.Error)
		}
	}
	for _, r := range left.Dead {
		if r.Kept == "" {
			p.Line("%sremoved: what is left of %s", would, p.Name(r.Name))
		} else {
			p.Line("kept: what is left of %s: %s", p.Name(r.Name), r.Kept)
		}
	}
	for _, text := range left.Removed {
		p.Line("%sremoved: %s", would, text)
	}
	for _, text := range left.Kept {
		p.Line("kept: %s", text)
	}
}

// remarks tells what lint thinks of the configurations.
func (o *options) remarks(p *show.Printer) {
	networks, err := node.Networks(o.place.Conf)
	if err == nil && len(networks) == 0 { // an error has nothing to do with the installation
		p.Line("%s has no configuration yet: bridgeport init", o.place.Conf)
	}
	for _, net := range networks {
		for _, problem := range lint.File(net.File, net.Bytes) {
			p.Line("%s", problem)
		}
	}
}
