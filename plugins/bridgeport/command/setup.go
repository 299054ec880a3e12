package command

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/playground"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/setup"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
	"golang.org/x/sys/unix"
)

func initCommand(o *options) *cobra.Command {
	w := setup.Wish{}
	var print, force bool
	c := &cobra.Command{
		Use:   "init",
		Short: "Write a configuration for containerd, CRI-O, nerdctl or kind",
		Long: `Write a network configuration into --conf-dir, linted, by a rename. On a terminal what
the flags leave open is asked for; otherwise it has the defaults.`,
		Example: `  bridgeport init
  bridgeport init --runtime containerd --name podnet --subnet 10.244.1.0/24 --mtu auto
  bridgeport init --runtime crio --print`,
	}
	f := c.Flags()
	f.StringVar(&w.Runtime, "runtime", "containerd", strings.Join(setup.Runtimes, ", "))
	f.StringVar(&w.Name, "name", "bridgeport", "the network's name")
	f.StringVar(&w.Bridge, "bridge", "cni0", "the bridge")
	f.StringSliceVar(&w.Subnets, "subnet", []string{"10.88.0.0/16"}, "subnets, one of each family at most")
	f.StringVar(&w.MTU, "mtu", "", "bytes or auto")
	f.BoolVar(&w.NoPorts, "no-ports", false, "without portmap")
	f.BoolVar(&print, "print", false, "print it and write nothing")
	f.BoolVar(&force, "force", false, "replace a file of the same name")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if err := o.textOnly("the configuration is JSON, and init prints no other"); err != nil {
			return err
		}
		if terminal(c.InOrStdin()) && !print {
			if err := ask(c); err != nil {
				return err
			}
		}
		if !slices.Contains(setup.Runtimes, w.Runtime) {
			return fmt.Errorf("--runtime: %q is none of %s", w.Runtime, strings.Join(setup.Runtimes, ", "))
		}
		text, err := w.Conflist()
		if err != nil {
			return err
		}
		if print {
			_, err := p.Out.Write(text)
			return err
		}
		path := filepath.Join(o.place.Conf, w.File())
		if _, err := os.Stat(path); err == nil && !force {
			return fmt.Errorf("%s exists: --force replaces it", path)
		} else if err != nil && !errors.Is(err, os.ErrNotExist) {
			return err
		}
		if err := file.Replace(path, text, 0o644); err != nil {
			return err
		}
		p.Line("wrote %s", p.Name(path))
		networks, err := node.Networks(o.place.Conf)
		if err == nil && len(networks) > 1 && networks[0].File != path {
			p.Line("%s: runtimes that use one network take %s, which comes first", p.Warn("mind"), networks[0].File)
		}
		return nil
	})
	return c
}

// terminal says whether a person may sit there. /dev/null is a character device, too.
func terminal(stream any) bool {
	f, ok := stream.(*os.File)
	if !ok {
		return false
	}
	_, err := unix.IoctlGetTermios(int(f.Fd()), unix.TCGETS)
	return err == nil
}

// ask asks for each flag that was not given; an empty answer takes the default.
func ask(c *cobra.Command) error {
	in := bufio.NewScanner(c.InOrStdin())
	for _, q := range [][2]string{
		{"runtime", "Which runtime (" + strings.Join(setup.Runtimes, ", ") + ")"},
		{"name", "The network's name"},
		{"bridge", "The bridge"},
		{"mtu", "MTU (bytes, auto, or nothing for the bridge's)"},
		{"subnet", "Subnets, separated by commas"},
	} {
		if c.Flags().Changed(q[0]) {
			continue
		}
		fmt.Fprintf(c.OutOrStdout(), "%s [%s]: ", q[1], strings.Trim(c.Flag(q[0]).Value.String(), "[]"))
		if in.Scan() && strings.TrimSpace(in.Text()) != "" {
			if err := c.Flags().Set(q[0], strings.TrimSpace(in.Text())); err != nil {
				return err
			}
		}
	}
	return nil
}

func labCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "A network to play with, in namespaces of its own",
		Long: `Build a host, the world outside and containers out of network namespaces, with a
bridge, NAT and published ports by the plugins beside this executable, or of the
package, or where runtimes look (or in --bin-dir). The machine's own network is not
touched.`,
		Example: `  bridgeport lab up red blue
  bridgeport lab sh red ping -c1 203.0.113.9
  bridgeport lab sh outside
  bridgeport lab down`,
	}
	lab := func() (playground.Lab, error) {
		if c.Flag("bin-dir").Changed {
			return playground.New(o.place.Bin), nil
		}
		dir, err := node.PluginDir(besides())
		return playground.New(dir), err
	}
	c.AddCommand(labUp(o, lab), &cobra.Command{
		Use: "down", Short: "Remove the lab", Args: cobra.NoArgs,
		RunE: o.run(func(*show.Printer, []string) error {
			l, err := lab()
			if err != nil {
				return fmt.Errorf("lab down: %w, by --bin-dir", err)
			}
			return l.Down()
		}),
	}, &cobra.Command{
		Use: "sh NAME [COMMAND…]", Short: "Open a shell, or run a command, in a container, in \"host\" or in \"outside\"", Args: cobra.MinimumNArgs(1),
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			err := playground.New("").Shell(args[0], args[1:]) // it calls no plugin
			if exit, ok := errors.AsType[*exec.ExitError](err); ok {
				return Exit{Status: exit.ExitCode()}
			}
			return err
		},
	})
	for _, sub := range c.Commands() {
		sub.PreRunE = func(*cobra.Command, []string) error { return node.Privileged() }
	}
	return c
}

func labUp(o *options, lab func() (playground.Lab, error)) *cobra.Command {
	return &cobra.Command{
		Use: "up NAME…", Short: "Build the lab, or add containers to it", Args: cobra.MinimumNArgs(1),
		Example: "  bridgeport lab up red blue",
		RunE: o.run(func(p *show.Printer, names []string) error {
			l, err := lab()
			if err != nil {
				return fmt.Errorf("lab up: %w, by --bin-dir", err)
			}
			made, err := l.Up(names)
			if err != nil {
				return err
			}
			return p.Value(made, func() {
				for _, m := range made {
					p.Line("%s  %s, from outside http://%s:%d", p.Name(m.Name), strings.Join(m.Addrs, ", "), playground.HostV4, m.Port)
				}
				p.Line("\nlook at it:   bridgeport %s ls", l.Flags())
				p.Line("go inside:    bridgeport lab sh %s", names[0])
				p.Line("end it:       bridgeport lab down")
			})
		}),
	}
}
