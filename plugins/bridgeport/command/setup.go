package command

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/setup"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func initCommand(o *options) *cobra.Command {
	w := setup.Wish{Runtime: setup.Runtimes[0]}
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
	oneOf(c, f, &w.Runtime, "runtime", "", strings.Join(setup.Runtimes, ", "), setup.Runtimes)
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
		if show.Terminal(c.InOrStdin()) && !print {
			if err := ask(c); err != nil {
				return err
			}
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
