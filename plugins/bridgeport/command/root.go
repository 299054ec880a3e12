// Package command is the sub-commands: their flags, and how to print what the other packages find.
package command

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/playground"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// Exit is an error with an exit status of its own. It has no text: all has been printed.
type Exit struct{ Status int }

func (e Exit) Error() string { return "" }

// exit is err, or else, where something is bad, the exit status.
func exit(err error, bad bool, status int) error {
	if err == nil && bad {
		return Exit{Status: status}
	}
	return err
}

// options are the flags that each sub-command has.
type options struct {
	place  node.Place
	netns  string
	lab    string
	output string
	// compared is attachment.List's.
	compared func(plan.Object) bool
}

// Root is the whole command.
func Root() *cobra.Command {
	o := &options{place: node.Default(), output: show.Formats[0]}
	root := &cobra.Command{
		Use:   "bridgeport",
		Short: "Container networks on this node, for the person who operates it",
		Long: `bridgeport shows the container networks of this node as they are, tells what is
wrong with them, and mends it. It reads the kernel, the lease files and libcni's
cache; there is no daemon, and only gc, repair, publish, unpublish, init, install,
uninstall and lab change anything.`,
		Version:       fmt.Sprintf("%s (commit %s)", cni.Version, cni.Commit),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("bridgeport {{.Version}}\n")
	f := root.PersistentFlags()
	f.StringVar(&o.place.Data, "data-dir", o.place.Data, "leases of host-local")
	f.StringVar(&o.place.Cache, "cache-dir", o.place.Cache, "libcni's cache")
	f.StringVar(&o.place.Conf, "conf-dir", o.place.Conf, "network configurations")
	f.StringVar(&o.place.Bin, "bin-dir", o.place.Bin, "plugins")
	f.StringVar(&o.netns, "netns", "", "look at the node in this network namespace (a path, or a name in /run/netns)")
	f.StringVar(&o.lab, "lab", "", "look at the lab of this name; an empty one is \""+playground.Default+"\"")
	_ = root.RegisterFlagCompletionFunc("lab", func(*cobra.Command, []string, string) ([]string, cobra.ShellCompDirective) {
		return playground.Labs(), cobra.ShellCompDirectiveNoFileComp
	}) // the flag is there
	oneOf(root, f, &o.output, "output", "o", "table, json or yaml", show.Formats)
	root.Flags().Bool("version", false, "print version and commit") // without -v, which is --verbose elsewhere
	root.SetFlagErrorFunc(flagError)
	add := func(group string, list ...*cobra.Command) {
		root.AddGroup(&cobra.Group{ID: group, Title: group})
		for _, c := range list {
			c.GroupID = group
			if c.Args == nil {
				c.Args = cobra.NoArgs
			}
		}
		root.AddCommand(list...)
	}
	add("See:", lsCommand(o), whoCommand(o), doctorCommand(o), traceCommand(o), exposureCommand(o), graphCommand(o), topCommand(o),
		metricsCommand(o), bundleCommand(o))
	add("Mend:", gcCommand(o), repairCommand(o), publishCommand(o), unpublishCommand(o))
	add("Set up:", planCommand(o), lintCommand(o), initCommand(o), installCommand(o), uninstallCommand(o), labCommand(o))
	root.InitDefaultHelpCmd()
	root.InitDefaultCompletionCmd()
	for _, c := range root.Commands() {
		if c.HasSubCommands() && !c.Runnable() {
			c.Args, c.RunE = unknown, func(c *cobra.Command, _ []string) error { return c.Help() }
		}
		if c.Name() == "help" {
			c.Run, c.RunE = nil, help
		}
	}
	return root
}

// unknown is the error for a word that is no sub-command, with those that look like it.
func unknown(c *cobra.Command, args []string) error {
	if len(args) == 0 {
		return nil
	}
	text := fmt.Sprintf("%s: unknown command %q", c.CommandPath(), args[0])
	if near := c.SuggestionsFor(args[0]); len(near) > 0 {
		text += ": did you mean " + strings.Join(near, " or ") + "?"
	}
	return errors.New(text + " --help lists them")
}

func help(c *cobra.Command, args []string) error {
	of, rest, err := c.Root().Find(args)
	if err != nil || of == nil {
		return cmp.Or(err, unknown(c.Root(), args))
	}
	if err := unknown(of, rest); err != nil && of.HasSubCommands() {
		return err
	}
	return of.Help()
}

// textOnly is an error where -o asks for another form than the one that the command has.
func (o *options) textOnly(what string) error {
	if o.output == "table" {
		return nil
	}
	return fmt.Errorf("-o %s: %s", o.output, what)
}

// run makes a sub-command's function: it runs in the namespace that --netns or --lab names.
func (o *options) run(fn func(*show.Printer, []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) error {
		p := show.New(cmd.OutOrStdout(), o.output)
		if cmd.Flag("lab").Changed {
			if err := o.enterLab(cmd); err != nil {
				return err
			}
		}
		if o.netns == "" {
			return fn(p, args)
		}
		path := o.netns
		if err := node.Privileged(); err != nil {
			return err
		}
		if !strings.Contains(path, "/") {
			path = filepath.Join("/run/netns", path)
		}
		ns, err := netns.Open(path)
		if err != nil {
			return fmt.Errorf("--netns: %w", err)
		}
		defer ns.Close()
		return ns.Do(func() error { return fn(p, args) })
	}
}

// look is once where each attachment is well; else what two looks have in common.
func (o *options) look() (*node.Node, []*attachment.Attachment, error) {
	defer show.Busy("looking at the node").Done()
	n, first, err := o.once()
	if err != nil || !slices.ContainsFunc(first, (*attachment.Attachment).Unwell) {
		return n, first, err
	}
	time.Sleep(attachment.Pause)
	n, second, err := o.once()
	return n, attachment.Lasting(first, second), err
}

// once reads the node and joins its attachments.
func (o *options) once() (*node.Node, []*attachment.Attachment, error) {
	n, err := node.Read(o.place)
	if err != nil {
		return nil, nil, err
	}
	return n, attachment.List(n, o.compared), nil
}

// lookAt is look, but at the attachment alone that the word NETWORK/CONTAINER names, where it is well and
// the only one.
func (o *options) lookAt(word string) (*node.Node, []*attachment.Attachment, error) {
	network, container, _ := strings.Cut(word, "/")
	container, _, _ = strings.Cut(container, "/")
	n, err := node.One(o.place, network, container)
	if err != nil || n == nil {
		return o.look()
	}
	list := attachment.List(n, o.compared)
	if len(list) != 1 || list[0].State != attachment.OK || !named(list[0], word) {
		return o.look()
	}
	return n, list, nil
}

// view is a node and its attachments, for a sub-command with its arguments.
type view struct {
	*node.Node
	list []*attachment.Attachment
	args []string
}

// looking is run with a look at the node.
func (o *options) looking(fn func(*show.Printer, view) error) func(*cobra.Command, []string) error {
	return o.run(func(p *show.Printer, args []string) error {
		n, list, err := o.look()
		if err != nil {
			return err
		}
		return fn(p, view{n, list, args})
	})
}

// Status is the exit status for an error of Root's Execute.
func Status(err error) int {
	if exit, ok := errors.AsType[Exit](err); ok {
		return exit.Status
	}
	if err != nil {
		return 1
	}
	return 0
}
