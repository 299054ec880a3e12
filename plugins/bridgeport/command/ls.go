package command

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/graph"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// states are those of attachments, best first.
var states = []string{attachment.OK, attachment.Foreign, attachment.Drift, attachment.Orphan, attachment.Doubt}

func lsCommand(o *options) *cobra.Command {
	var network, state string
	var wide bool
	c := &cobra.Command{
		Use:     "ls",
		Aliases: []string{"list"},
		Short:   "List networks and attachments",
		Long: `List the networks, then each attachment: whose it is, where it is plugged in, what
it publishes and what it has sent and received. States:

  ok       as its ADD made it
  foreign  alive, made by another implementation of the plugin
  drift    alive, but something of it has changed or is missing (repair mends it)
  orphan   dead: something of it is left (gc removes it)
  unsure   neither a sign of life nor a proof of death; nothing is ever removed`,
		Example: `  bridgeport ls
  bridgeport ls --network podnet --state drift
  bridgeport ls -o json | jq -r '.attachments[] | select(.state=="orphan") | .container'`,
	}
	c.Flags().StringVar(&network, "network", "", "of this network only")
	oneOf(c, c.Flags(), &state, "state", "", "in this state only: "+strings.Join(states, ", "), states)
	c.Flags().BoolVarP(&wide, "wide", "w", false, "full names, MAC and MTU")
	_ = c.RegisterFlagCompletionFunc("network", o.completing(view.networks)) // the flag is there
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		networks := attachment.Networks(v.Node, v.list)
		v.list = slices.DeleteFunc(v.list, func(a *attachment.Attachment) bool {
			return network != "" && a.Network != network || state != "" && a.State != state
		})
		networks = slices.DeleteFunc(networks, func(w attachment.Network) bool { return network != "" && w.Name != network })
		return p.Value(map[string]any{"networks": networks, "attachments": v.list}, func() {
			printNetworks(p, networks)
			printAttachments(p, v.list, wide)
		})
	})
	return c
}

func printNetworks(p *show.Printer, networks []attachment.Network) {
	if len(networks) == 0 {
		p.Line("no networks: neither a configuration file nor an attachment names one")
		return
	}
	var rows [][]string
	for _, w := range networks {
		var pools []string
		for _, pool := range w.Pools {
			text := pool.String()
			switch {
			case pool.Full() >= 1:
				text = p.Bad(text)
			case pool.Full() >= 0.9:
				text = p.Warn(text)
			}
			pools = append(pools, text)
		}
		rows = append(rows, []string{
			p.Name(w.Name), show.Dash(w.Bridge), show.Dash(show.List(w.Subnets())), show.Dash(strings.Join(pools, ", ")),
			show.Dash(show.List(w.Gateways)), show.Number(w.MTU), show.Dash(w.File),
		})
	}
	p.Table([]string{"NETWORK", "BRIDGE", "SUBNET", "LEASED", "GATEWAY", "MTU", "CONFIGURATION"}, rows, "MTU", "CONFIGURATION", "GATEWAY")
}

func printAttachments(p *show.Printer, list []*attachment.Attachment, wide bool) {
	if len(list) == 0 {
		p.Line("\nno attachments")
		return
	}
	headings := []string{"CONTAINER", "IF", "NETWORK", "ADDRESS", "HOST LINK", "PORTS", "AGE", "RECEIVED", "SENT", "STATE"}
	if wide {
		headings = append(headings, "POD", "MAC", "MTU", "NETNS")
	}
	var rows [][]string
	counts := make(map[string]int)
	for _, a := range list {
		counts[a.State]++
		row := []string{
			label(a, wide), a.IfName, a.Network, strings.Join(show.Texts(a.Addresses), "\n"), show.Dash(a.Link), some(a.PortTexts(), wide),
			show.Age(a.Since, time.Now()), show.Bytes(a.Traffic.RxBytes), show.Bytes(a.Traffic.TxBytes), p.State(a.State),
		}
		if wide {
			row = append(row, show.Dash(a.Pod), show.Dash(a.MAC), show.Number(a.MTU), show.Dash(a.Netns))
		}
		rows = append(rows, row)
	}
	p.Line("")
	p.Table(headings, rows, "NETNS", "MTU", "MAC", "SENT", "RECEIVED", "HOST LINK", "IF", "AGE", "NETWORK", "POD")
	p.Line("")
	for _, a := range list {
		head := p.State(a.State) + " " + label(a, wide) + ": "
		for i, note := range a.Notes {
			if i == 3 && !wide {
				p.Hang(head, fmt.Sprintf("and %d more (-w)", len(a.Notes)-i))
				break
			}
			p.Hang(head, note)
		}
	}
	var sums []string
	for _, s := range states {
		if counts[s] > 0 {
			sums = append(sums, fmt.Sprint(counts[s], " ", p.State(s)))
		}
	}
	p.Line("%s: %s", show.Count(len(list), "attachment"), strings.Join(sums, ", "))
}

func label(a *attachment.Attachment, wide bool) string {
	if wide {
		return a.Container
	}
	return a.Label()
}

// some is the first of a list, one a line.
func some(list []string, all bool) string {
	const most = 3
	if len(list) == 0 {
		return "-"
	}
	if len(list) > most+1 && !all {
		list = append(slices.Clone(list[:most]), fmt.Sprintf("+%d more", len(list)-most))
	}
	return strings.Join(list, "\n")
}

func graphCommand(o *options) *cobra.Command {
	format := "term"
	c := &cobra.Command{
		Use:   "graph",
		Short: "Draw the networks: bridges, containers, addresses, published ports, the outside",
		Example: `  bridgeport graph
  bridgeport graph -f svg >networks.svg
  bridgeport graph -f dot | dot -Tpng >networks.png
  bridgeport graph -f mermaid`,
	}
	oneOf(c, c.Flags(), &format, "format", "f", "term, svg, dot or mermaid", []string{"term", "svg", "dot", "mermaid"})
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		if err := o.textOnly("--format " + format + " has one form"); err != nil && format != "term" {
			return err
		}
		picture := graph.New(v.Node, v.list)
		switch format {
		case "svg":
			return picture.SVG(p.Out)
		case "dot":
			picture.DOT(p.Out)
		case "mermaid":
			picture.Mermaid(p.Out)
		default:
			return p.Value(picture, func() { picture.Terminal(p) })
		}
		return nil
	})
	return c
}
