package command

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"os/exec"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/playground"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// theLab is the one that --lab names, with the plugins of --bin-dir or those that this executable finds.
// Where there are none it has no plugins: only up needs them.
func (o *options) theLab(c *cobra.Command) (playground.Lab, error) {
	bin := o.place.Bin
	if !c.Flag("bin-dir").Changed {
		bin, _ = node.PluginDir(besides())
	}
	return playground.New(o.lab, bin)
}

// enterLab makes the lab the node that is looked at. Flags that are given all the same win.
func (o *options) enterLab(c *cobra.Command) error {
	l, err := o.theLab(c)
	if err != nil {
		return err
	}
	if !l.IsUp() {
		return fmt.Errorf("--lab: lab %s is not up: bridgeport lab up --lab %s", l.Name, l.Name)
	}
	for name, value := range l.Flags() {
		if f := c.Flag(name); !f.Changed {
			err = errors.Join(err, f.Value.Set(value))
		}
	}
	return err
}

// inLab makes the function of a sub-command of lab.
func (o *options) inLab(fn func(*show.Printer, playground.Lab, []string) error) func(*cobra.Command, []string) error {
	return func(c *cobra.Command, args []string) error {
		if err := node.Privileged(); err != nil {
			return err
		}
		l, err := o.theLab(c)
		if err != nil {
			return err
		}
		return fn(show.New(c.OutOrStdout(), o.output), l, args)
	}
}

func labCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "A network to play with, in namespaces of its own",
		Long: `Build a host, the world outside and containers out of network namespaces, with a
bridge, NAT and published ports by the plugins beside this executable, of the package,
or where runtimes look (or in --bin-dir), and a small web server in each container. The machine's own network is
not touched. --lab names a lab, if there is to be more than one; all other commands
look at it with the same flag.`,
		Example: `  bridgeport lab up red blue
  bridgeport lab get http://203.0.113.2:8080
  bridgeport lab sh red ping -c1 203.0.113.9
  bridgeport --lab default ls
  bridgeport lab down`,
	}
	from := "outside"
	get := &cobra.Command{
		Use: "get URL", Short: "Fetch a page as the outside would", Args: cobra.ExactArgs(1),
		RunE: o.inLab(func(p *show.Printer, l playground.Lab, args []string) error {
			return exited(l.Get(from, args[0], p.Out))
		}),
	}
	get.Flags().StringVar(&from, "from", from, "a container, host or outside")
	_ = get.RegisterFlagCompletionFunc("from", o.places) // the flag is there
	c.AddCommand(labUp(o), get, &cobra.Command{
		Use: "down", Short: "Remove the lab", Args: cobra.NoArgs,
		RunE: o.inLab(func(_ *show.Printer, l playground.Lab, _ []string) error { return l.Down() }),
	}, &cobra.Command{
		Use: "serve NAME PATH", Short: "The web server of a container, which lab up starts", Hidden: true, Args: cobra.ExactArgs(2),
		RunE: func(_ *cobra.Command, args []string) error { return playground.Serve(args[0], args[1]) },
	}, labShell(o), labList(o))
	return c
}

// places completes containers of the lab, "host" and "outside".
func (o *options) places(c *cobra.Command, args []string, _ string) ([]string, cobra.ShellCompDirective) {
	l, err := o.theLab(c)
	if err != nil || len(args) > 0 {
		return nil, cobra.ShellCompDirectiveDefault
	}
	return append(l.Names(), "host", "outside"), cobra.ShellCompDirectiveNoFileComp
}

// exited is the exit status of a program that was run.
func exited(err error) error {
	if exit, ok := errors.AsType[*exec.ExitError](err); ok {
		return Exit{Status: exit.ExitCode()}
	}
	return err
}

func labShell(o *options) *cobra.Command {
	c := &cobra.Command{
		Use: "sh NAME [COMMAND...]", Short: "Open a shell, or run a command, in a container, in \"host\" or in \"outside\"",
		Args: cobra.MinimumNArgs(1), ValidArgsFunction: o.places,
		RunE: o.inLab(func(_ *show.Printer, l playground.Lab, args []string) error {
			return exited(l.Shell(args[0], args[1:]))
		}),
	}
	c.Flags().SetInterspersed(false) // flags behind NAME are the command's
	return c
}

func labList(o *options) *cobra.Command {
	return &cobra.Command{
		Use: "ls", Short: "List the labs that are up, with their containers", Args: cobra.NoArgs,
		RunE: o.inLab(func(p *show.Printer, l playground.Lab, _ []string) error {
			labs := make(map[string][]string)
			for _, l.Name = range playground.Labs() {
				labs[l.Name] = l.Names()
			}
			return p.Value(labs, func() {
				for _, name := range slices.Sorted(maps.Keys(labs)) {
					p.Hang(p.Name(name)+": ", show.Dash(strings.Join(labs[name], ", ")))
				}
			})
		}),
	}
}

func labUp(o *options) *cobra.Command {
	var w playground.Network
	c := &cobra.Command{
		Use: "up [NAME...]", Short: "Build the lab, or add containers to it: red and blue where no names are given",
		Example: `  bridgeport lab up red blue
  bridgeport lab up --like v-net-0
  bridgeport lab up --lab mine --conf /etc/cni/net.d/10-podnet.conflist web db`,
		RunE: o.inLab(func(p *show.Printer, l playground.Lab, names []string) error {
			if len(names) == 0 {
				names = []string{"red", "blue"}
			}
			if l.Bin == "" {
				_, err := node.PluginDir(besides())
				return fmt.Errorf("lab up: %w, by --bin-dir", err)
			}
			made, err := l.Up(names, w)
			if err != nil {
				return err
			}
			return p.Value(made, func() { printLab(p, l, made) })
		}),
	}
	oneOf(c, c.Flags(), &w.Like, "like", "", "the network: "+strings.Join(playground.Likes, ", ")+" (192.168.15.0/24, that of conf/demo)", playground.Likes)
	c.Flags().StringVar(&w.File, "conf", "", "a configuration list that is the network; its leases are the lab's own")
	c.MarkFlagsMutuallyExclusive("like", "conf")
	return c
}

func printLab(p *show.Printer, l playground.Lab, made []playground.Container) {
	lab := ""
	if l.Name != playground.Default {
		lab = " --lab " + l.Name
	}
	for _, m := range made {
		from := "from outside "
		if m.Port == 0 {
			from = "from the host "
		}
		p.Hang(p.Name(m.Name)+"  ", strings.Join(append(slices.Clone(m.Addrs), from+cmp.Or(m.URL, "nothing")), ", "))
	}
	p.Line("\nlook at it:   bridgeport --lab %s ls", l.Name)
	p.Line("go inside:    bridgeport lab sh%s %s", lab, made[0].Name)
	if made[0].Port > 0 {
		p.Line("get a page:   bridgeport lab get%s %s", lab, made[0].URL)
	}
	p.Line("end it:       bridgeport lab down%s", lab)
}
