package command

import (
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/lint"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func planCommand(o *options) *cobra.Command {
	call := node.Call{NetNS: "$CNI_NETNS"}
	var ports, args, ips []string
	c := &cobra.Command{
		Use:   "plan [FILE|-]",
		Short: "Print what an ADD would create, as ip and nft commands, and change nothing",
		Long: `Print what an ADD of this configuration would create, as the commands that a person
would type, with the addresses that are really next. The configuration comes from a
file, from standard input with "-", or, without an argument, is the first one in
--conf-dir. Nothing is changed, and no other plugin is executed.`,
		Example: `  bridgeport plan /etc/cni/net.d/10-bridgeport.conflist
  bridgeport plan --port 8080:80 --port 127.0.0.1:5353:53/udp <10-bridgeport.conflist -
  bridgeport plan | grep '^nft'`,
		Args: cobra.MaximumNArgs(1),
	}
	f := c.Flags()
	f.StringVar(&call.ContainerID, "container", "example", "the container's ID")
	f.StringVar(&call.IfName, "ifname", "eth0", "the interface in the container")
	f.StringArrayVarP(&ports, "port", "p", nil, "publish a port: [hostIP:]hostPort:containerPort[/protocol]")
	f.StringArrayVar(&ips, "ip", nil, "ask for this address; with an IPAM plugin other than host-local take it, with the length of its subnet")
	f.StringArrayVar(&args, "arg", nil, "one of CNI_ARGS: KEY=VALUE")
	c.RunE = o.run(func(p *show.Printer, files []string) error {
		net, err := o.network(c, files)
		if err != nil {
			return err
		}
		if call.CapabilityArgs, err = capabilities(ports, ips); err != nil {
			return err
		}
		for _, a := range args {
			key, value, _ := strings.Cut(a, "=")
			call.CNIArgs = append(call.CNIArgs, [2]string{key, value})
		}
		steps, err := attachment.Plan(net, call, ips)
		if err != nil {
			return err
		}
		return p.Value(steps, func() {
			for _, s := range steps {
				p.Line("%s", p.Faint("# "+s.About))
				if s.Commands != "" {
					p.Line("%s", strings.TrimRight(s.Commands, "\n"))
				}
			}
		})
	})
	return c
}

// network reads the configuration that a command is about.
func (o *options) network(c *cobra.Command, files []string) (*node.Network, error) {
	if len(files) == 0 {
		networks, err := node.Networks(o.place.Conf)
		if err != nil {
			return nil, err
		}
		i := slices.IndexFunc(networks, func(net node.Network) bool { return net.Bad == nil })
		if i < 0 {
			return nil, fmt.Errorf("plan: no configuration in %s: name a file, or - for standard input", o.place.Conf)
		}
		return &networks[i], nil
	}
	name, data, err := input(c.InOrStdin(), files[0])
	var net node.Network
	if err == nil {
		net, err = node.ParseNetwork(name, data)
	}
	if err != nil {
		return nil, fmt.Errorf("plan: %s: %w", name, err)
	}
	return &net, nil
}

// capabilities are what a runtime would pass on. Portmap checks the values.
func capabilities(ports, ips []string) (map[string]any, error) {
	list := []map[string]any{}
	for _, text := range ports {
		m, err := mapping(text)
		if err != nil {
			return nil, fmt.Errorf("--port %w", err)
		}
		list = append(list, m)
	}
	return map[string]any{"portMappings": list, "ips": ips}, nil
}

func lintCommand(o *options) *cobra.Command {
	c := &cobra.Command{
		Use:   "lint [FILE...]",
		Short: "Find mistakes in network configurations before a runtime does",
		Long: `Examine configuration files, or with "-" standard input; without any the ones in
--conf-dir. Errors are what makes a call fail, in the words of the plugin itself;
warnings are unknown keys and choices that are seldom meant.

Exit status: 0 clean, 1 warnings, 2 errors.`,
		Example: `  bridgeport lint
  bridgeport lint 10-podnet.conflist
  bridgeport init --runtime containerd --print | bridgeport lint -`,
		Args:              cobra.ArbitraryArgs,
		ValidArgsFunction: cobra.FixedCompletions(nil, cobra.ShellCompDirectiveDefault),
	}
	c.RunE = o.run(func(p *show.Printer, files []string) error {
		if len(files) == 0 {
			networks, err := node.Networks(o.place.Conf)
			if err != nil {
				return err
			}
			for _, net := range networks {
				files = append(files, net.File)
			}
		}
		problems := []lint.Problem{}
		for _, f := range files {
			name, data, err := input(c.InOrStdin(), f)
			found := lint.File(name, data)
			if err != nil {
				found = []lint.Problem{{File: name, Line: 1, Column: 1, Severity: "error", Text: err.Error()}}
			}
			problems = append(problems, found...)
		}
		errors := len(slices.DeleteFunc(slices.Clone(problems), func(p lint.Problem) bool { return p.Severity != "error" }))
		err := p.Value(problems, func() {
			for _, problem := range problems {
				severity := p.Warn(problem.Severity)
				if problem.Severity == "error" {
					severity = p.Bad(problem.Severity)
				}
				p.Hang(fmt.Sprintf("%s:%d:%d: %s: ", problem.File, problem.Line, problem.Column, severity), problem.Text)
			}
			p.Line("%s: %s, %s", show.Count(len(files), "file"), show.Count(errors, "error"), show.Count(len(problems)-errors, "warning"))
		})
		return exit(exit(err, errors > 0, 2), len(problems) > 0, 1)
	})
	return c
}

// input reads a file, or with "-" standard input, which is taken for a .conflist.
func input(stdin io.Reader, file string) (string, []byte, error) {
	if file == "-" {
		data, err := io.ReadAll(stdin)
		return "stdin.conflist", data, err
	}
	data, err := os.ReadFile(file)
	return file, data, err
}
