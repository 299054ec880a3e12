package command

import (
	"fmt"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/graph"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

func graphCommand(o *options) *cobra.Command {
	var format string
	c := &cobra.Command{
		Use:   "graph",
		Short: "Draw the networks: bridges, containers, addresses, published ports, the outside",
		Example: `  bridgeport graph
  bridgeport graph -f svg >networks.svg
  bridgeport graph -f dot | dot -Tpng >networks.png
  bridgeport graph -f mermaid`,
		Args: cobra.NoArgs,
	}
	c.Flags().StringVarP(&format, "format", "f", "term", "term, svg, dot or mermaid")
	_ = c.RegisterFlagCompletionFunc("format", cobra.FixedCompletions([]string{"term", "svg", "dot", "mermaid"}, cobra.ShellCompDirectiveNoFileComp))
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		if format != "term" {
			if err := o.textOnly("--format " + format + " has one form"); err != nil {
				return err
			}
		}
		picture := graph.New(v.Node, v.list)
		switch format {
		case "svg":
			return picture.SVG(p.Out)
		case "dot":
			picture.DOT(p.Out)
		case "mermaid":
			picture.Mermaid(p.Out)
		case "term":
			return p.Value(picture, func() { picture.Terminal(p) })
		default:
			return fmt.Errorf("--format: %q is none of term, svg, dot, mermaid", format)
		}
		return nil
	})
	return c
}
