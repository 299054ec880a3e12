package command

import (
	"errors"
	"os/exec"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/playground"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func labCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "lab",
		Short: "A network to play with, in namespaces of its own",
		Long: `Build a host, the world outside and containers out of network namespaces, with a
bridge, NAT and published ports by the plugins beside this executable (or in
--bin-dir). The machine's own network is not touched.`,
		Example: `  bridgeport lab up red blue
  bridgeport lab sh red ping -c1 203.0.113.9
  bridgeport lab sh outside
  bridgeport lab down`,
	}
	lab := func() (playground.Lab, error) {
		bin := o.place.Bin
		if !c.Flag("bin-dir").Changed {
			bin = besides()
		}
		return playground.New(bin), node.Privileged()
	}
	c.AddCommand(labUp(o, lab), &cobra.Command{
		Use: "down", Short: "Remove the lab", Args: cobra.NoArgs,
		RunE: o.run(func(*show.Printer, []string) error {
			l, err := lab()
			if err != nil {
				return err
			}
			return l.Down()
		}),
	}, &cobra.Command{
		Use: "sh NAME [COMMAND…]", Short: "Open a shell, or run a command, in a container, in \"host\" or in \"outside\"", Args: cobra.MinimumNArgs(1),
		DisableFlagParsing: true,
		RunE: func(_ *cobra.Command, args []string) error {
			l, err := lab()
			if err != nil {
				return err
			}
			err = l.Shell(args[0], args[1:])
			var exit *exec.ExitError
			if errors.As(err, &exit) {
				return Exit{Status: exit.ExitCode()}
			}
			return err
		},
	})
	return c
}

func labUp(o *options, lab func() (playground.Lab, error)) *cobra.Command {
	return &cobra.Command{
		Use: "up NAME…", Short: "Build the lab, or add containers to it", Args: cobra.MinimumNArgs(1),
		Example: "  bridgeport lab up red blue",
		RunE: o.run(func(p *show.Printer, names []string) error {
			l, err := lab()
			if err != nil {
				return err
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
