package command

import (
	"cmp"
	"context"
	"fmt"
	"net/netip"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/trace"
	"github.com/spf13/cobra"
)

func traceCommand(o *options) *cobra.Command {
	var live bool
	var in string
	var duration time.Duration
	c := &cobra.Command{
		Use:   "trace SOURCE[:PORT] PORT | SOURCE[:PORT] ADDRESS:PORT[/PROTOCOL]",
		Short: "Follow a packet: published port, route, bridge port, container, reply",
		Long: `Follow a packet from a source to a port of this host, or to an address and port,
through rules, routes and links as they are now, and tell where it would be dropped.
The source may be a container, NETWORK/CONTAINER: then its packet is followed out of the host.
Lines with ? tell what is not certain, such as a rule about marks. With --live real packets
are followed by nft's trace, until --duration is over or you press Ctrl-C.

Exit status: 0 it arrives, or may, 1 the question could not be answered, 2 it does not arrive.`,
		Example: `  bridgeport trace 203.0.113.9:5555 8080/tcp
  bridgeport trace 127.0.0.1 8080/tcp
  bridgeport trace 203.0.113.9 10.88.0.7:80
  bridgeport trace podnet/web 192.0.2.1:443
  bridgeport trace --live 203.0.113.9 8080/tcp`,
		Args: cobra.ExactArgs(2), ValidArgsFunction: o.completing(func(v view) []string {
			if len(v.args) == 1 {
				return v.ports()
			}
			return nil // the source is anybody
		}),
	}
	c.Flags().BoolVar(&live, "live", false, "follow real packets")
	c.Flags().DurationVar(&duration, "duration", time.Minute, "how long --live looks")
	c.Flags().StringVar(&in, "in", "", "link by which the packet comes in; default: the way to its source")
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		t, err := trace.New(v.Node, v.list)
		if err != nil {
			return err
		}
		from, err := v.source(v.args[0], v.args[1])
		if err != nil {
			return err
		}
		packet, err := parsePacket(t, from, v.args[1])
		if err != nil {
			return err
		}
		packet.In = in
		if live {
			ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
			defer stop()
			ctx, cancel := context.WithTimeout(ctx, duration)
			defer cancel()
			return node.Live(ctx, p.Out, packet.From.Addr(), packet.Protocol, packet.To.Port())
		}
		hops, arrives := t.Follow(packet)
		err = p.Value(map[string]any{"hops": hops, "arrives": arrives}, func() { printHops(p, packet, hops, arrives) })
		return exit(err, !arrives, 2)
	})
	return c
}

// source is the address of an attachment, of the destination's family, where the word names one.
func (v view) source(word, to string) (string, error) {
	if _, err := netip.ParseAddrPort(word); err == nil || !strings.Contains(word, "/") {
		return word, nil
	}
	a, err := v.one(word)
	if err != nil {
		return "", err
	}
	port, _, _ := parsePort(to) // parsePacket tells
	addr := a.Addr(port.Host.Is4())
	if !port.Host.IsValid() {
		addr = cmp.Or(a.Addr(true), a.Addr(false))
	}
	if !addr.IsValid() {
		return "", fmt.Errorf("%s: has no address of the family of %s", a.Name(), to)
	}
	return addr.String(), nil
}

func parsePacket(t *trace.Tracer, from, to string) (trace.Packet, error) {
	source, err := netip.ParseAddrPort(from)
	if err != nil {
		addr, err := netip.ParseAddr(from)
		if err != nil {
			return trace.Packet{}, fmt.Errorf("%q is neither an address nor address:port", from)
		}
		source = netip.AddrPortFrom(addr, 40000) // any will do
	}
	port, is, err := parsePort(to)
	if err == nil && !is {
		err = fmt.Errorf("%q is neither port/protocol nor address:port, of tcp, udp or sctp", to)
	}
	host := cmp.Or(port.Host, t.HostAddress(source.Addr()))
	if err == nil && !host.IsValid() {
		err = fmt.Errorf("%s: this host has no route and so no address for %s: give address:port", to, source.Addr())
	}
	return trace.Packet{From: source, Protocol: cmp.Or(port.Protocol, "tcp"), To: netip.AddrPortFrom(host, port.Number)}, err
}

func printHops(p *show.Printer, packet trace.Packet, hops []trace.Hop, arrives bool) {
	p.Line("from %s to %s", packet.From, hostport.Text(packet.Protocol, packet.To.Addr(), packet.To.Port()))
	for _, h := range hops {
		mark := p.Good("→")
		switch {
		case h.Drops:
			mark = p.Bad("✗")
		case h.Doubt:
			mark = p.Warn("?")
		}
		p.Hang(fmt.Sprintf("  %s %-15s ", mark, h.Name), h.Says)
		if h.Counter != "" {
			p.Hang(fmt.Sprintf("    %-15s ", ""), p.Faint(h.Counter))
		}
	}
	verdict := p.Good("it arrives")
	switch {
	case arrives && hops[len(hops)-1].Name == trace.WayOut:
		verdict = p.Good("it gets there: to the host, or out of it")
	case !arrives:
		verdict = p.Bad("it does not arrive")
	case slices.ContainsFunc(hops, func(h trace.Hop) bool { return h.Doubt }):
		verdict = p.Warn("it may arrive: see ?")
	}
	p.Line("%s", verdict)
}

func exposureCommand(o *options) *cobra.Command {
	var all, egress bool
	c := &cobra.Command{
		Use:   "exposure",
		Short: "Tell which ports of this host are reached by which links and from where",
		Long: `List the ports that containers publish: by which links and addresses of the host they
are reached, and from where. The rules of the input hook do not protect them: their
packets are forwarded. With --all the sockets of the host's own processes are listed,
too. With --egress the other way round: where containers may send, and how many packets to
elsewhere were refused.`,
		Example: `  bridgeport exposure
  bridgeport exposure --egress
  bridgeport exposure -o json | jq '.[] | select(.public)'`,
	}
	c.Flags().BoolVarP(&all, "all", "a", false, "the host's own sockets, too")
	c.Flags().BoolVar(&egress, "egress", false, "where containers may send")
	c.MarkFlagsMutuallyExclusive("all", "egress")
	c.RunE = o.looking(func(p *show.Printer, v view) error {
		t, err := trace.New(v.Node, v.list)
		if err != nil {
			return err
		}
		if egress {
			return printEgress(p, t.Egress((*attachment.Attachment).Egress))
		}
		exposed := t.Exposure(all)
		return p.Value(exposed, func() {
			var rows [][]string
			for _, e := range exposed {
				sources := e.Sources
				if e.Public && sources == "everybody" {
					sources = p.Warn("everybody, the internet too")
				}
				rows = append(rows, []string{p.Name(e.Port), e.LeadsTo, e.Holder, show.Dash(strings.Join(e.Links, "\n")), sources, show.Dash(e.Remark)})
			}
			if len(rows) == 0 {
				p.Line("no ports are published")
				return
			}
			p.Table([]string{"PORT", "LEADS TO", "OF", "REACHED BY", "FROM", "REMARK"}, rows, "LEADS TO")
		})
	})
	return c
}

func printEgress(p *show.Printer, list []trace.Egress) error {
	return p.Value(list, func() {
		var rows [][]string
		for _, e := range list {
			rows = append(rows, []string{p.Name(e.Name), strings.Join(e.Rules, "\n"), fmt.Sprint(e.Refused)})
		}
		if len(rows) == 0 {
			p.Line("all containers may send anywhere: no network has egress")
			return
		}
		p.Table([]string{"OF", "RULES, FIRST TO LAST", "REFUSED PACKETS"}, rows, "RULES, FIRST TO LAST")
	})
}
