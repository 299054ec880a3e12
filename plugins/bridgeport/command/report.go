package command

import (
	"bytes"
	"cmp"
	"context"
	"fmt"
	"os/signal"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/report"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// logs are the files that configurations and flags name.
func logs(n *node.Node, given []string) []string {
	files := slices.Clone(given)
	for _, p := range n.Plugins() {
		if p.LogFile != "" {
			files = append(files, p.LogFile)
		}
	}
	slices.Sort(files)
	return slices.Compact(files)
}

func metricsCommand(o *options) *cobra.Command {
	var textfile string
	var files []string
	c := &cobra.Command{
		Use:   "metrics",
		Short: "Print the node's state for Prometheus",
		Long: `Print pools, attachments by state, published ports, what doctor finds, and, from the
plugins' log where they write one, latency and failures of each verb, in Prometheus'
text format. With --textfile it is written for node_exporter's textfile collector, by a
rename.`,
		Example: `  bridgeport metrics
  bridgeport metrics --textfile /var/lib/node_exporter/bridgeport.prom`,
	}
	c.Flags().StringVar(&textfile, "textfile", "", "write to this file")
	c.Flags().StringArrayVar(&files, "log", nil, "a log of the plugins, beside those that configurations name")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if err := o.textOnly("metrics are in Prometheus' text format only; doctor and ls have others"); err != nil {
			return err
		}
		patient, found, err := doctor.Look(o.once)
		if err != nil {
			return err
		}
		text := report.Metrics(patient, found, logs(patient.Node, files))
		if textfile != "" {
			return file.Replace(textfile, text, 0o644)
		}
		_, err = p.Out.Write(text)
		return err
	})
	return c
}

func bundleCommand(o *options) *cobra.Command {
	var scrub bool
	var files []string
	c := &cobra.Command{
		Use:   "bundle [FILE]",
		Short: "Gather what a bug report needs into a tar",
		Long: `Write configurations, rules, links, routes, leases, libcni's cache, doctor's findings and
the end of the logs into FILE (default: bridgeport-bundle.tar.gz). With --scrub
addresses and the names of containers, pods, networks and the host are replaced, the
same ones by the same words.`,
		Example: `  bridgeport bundle --scrub
  bridgeport bundle - | ssh other 'cat >bundle.tar.gz'`,
		Args: cobra.MaximumNArgs(1),
	}
	c.Flags().BoolVar(&scrub, "scrub", false, "replace addresses and names")
	c.Flags().StringArrayVar(&files, "log", nil, "a log of the plugins, beside those that configurations name")
	c.RunE = o.run(func(p *show.Printer, args []string) error {
		if err := o.textOnly("a bundle is a tar"); err != nil {
			return err
		}
		busy := show.Busy("gathering")
		patient, found, err := doctor.Look(o.once)
		var b bytes.Buffer
		if err == nil {
			err = report.Bundle(&b, patient, found, logs(patient.Node, files), scrub)
		}
		busy.Done()
		if err != nil {
			return err
		}
		name := "bridgeport-bundle.tar.gz"
		if len(args) > 0 {
			name = args[0]
		}
		if name == "-" {
			_, err = b.WriteTo(p.Out)
			return err
		}
		err = file.Replace(name, b.Bytes(), 0o600)
		if err == nil {
			p.Line("wrote %s", p.Name(name))
		}
		return err
	})
	return c
}

func topCommand(o *options) *cobra.Command {
	var interval time.Duration
	var rounds, rows int
	c := &cobra.Command{
		Use:   "top",
		Short: "Watch attachments by traffic",
		Example: `  bridgeport top
  bridgeport top --interval 5s --rows 50
  bridgeport top -n 1 -o json`,
	}
	c.Flags().DurationVar(&interval, "interval", 2*time.Second, "how often")
	c.Flags().IntVarP(&rounds, "rounds", "n", 0, "end after so many; 0 goes on")
	c.Flags().IntVar(&rows, "rows", 20, "how many attachments")
	c.RunE = o.run(func(p *show.Printer, _ []string) error {
		if rows < 1 || rounds < 0 || interval <= 0 {
			return fmt.Errorf("top: --rows %d, --rounds %d, --interval %s: want at least one row, no negative number and a time to wait", rows, rounds, interval)
		}
		ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
		defer stop()
		before, at := map[string]attachment.Traffic{}, time.Now()
		for round := 0; ; round++ {
			_, list, err := o.once()
			now := time.Now()
			if err == nil && round > 0 {
				err = printTop(p, busiest(list, before, now.Sub(at)), rows, len(list), round > 1)
			}
			if err != nil || rounds > 0 && round == rounds {
				return err
			}
			before, at = make(map[string]attachment.Traffic), now
			for _, a := range list {
				before[a.Tag] = a.Traffic
			}
			select {
			case <-ctx.Done():
				return nil
			case <-time.After(interval):
			}
		}
	})
	return c
}

// Rate is what an attachment moves per second.
type Rate struct {
	Name      string  `json:"name"`
	Addresses string  `json:"addresses"`
	RxBytes   float64 `json:"rxBytes"`
	TxBytes   float64 `json:"txBytes"`
	RxPackets float64 `json:"rxPackets"`
	TxPackets float64 `json:"txPackets"`
}

func busiest(list []*attachment.Attachment, before map[string]attachment.Traffic, d time.Duration) []Rate {
	rates := []Rate{}
	for _, a := range list {
		b, ok := before[a.Tag]
		if !ok || a.Host == nil {
			continue
		}
		per := func(now, then uint64) float64 { return max(0, float64(now)-float64(then)) / d.Seconds() }
		rates = append(rates, Rate{
			a.Name(), strings.Join(show.Texts(a.Addresses), " "), per(a.Traffic.RxBytes, b.RxBytes), per(a.Traffic.TxBytes, b.TxBytes),
			per(a.Traffic.RxPackets, b.RxPackets), per(a.Traffic.TxPackets, b.TxPackets),
		})
	}
	slices.SortStableFunc(rates, func(a, b Rate) int { return cmp.Compare(b.RxBytes+b.TxBytes, a.RxBytes+a.TxBytes) })
	return rates
}

func printTop(p *show.Printer, rates []Rate, rows, total int, again bool) error {
	rates = rates[:min(len(rates), rows)]
	return p.Value(rates, func() {
		if again && show.Terminal(p.Out) {
			fmt.Fprint(p.Out, "\x1b[H\x1b[J") // home, clear
		}
		var cells [][]string
		for _, r := range rates {
			cells = append(cells, []string{
				p.Name(r.Name), r.Addresses, show.Rate(r.RxBytes, "B"), show.Rate(r.TxBytes, "B"), show.Rate(r.RxPackets, "p"), show.Rate(r.TxPackets, "p"),
			})
		}
		p.Line("%s of %d, %s", show.Count(len(rates), "attachment"), total, time.Now().Format(time.TimeOnly))
		p.Table([]string{"ATTACHMENT", "ADDRESS", "RECEIVES", "SENDS", "PACKETS IN", "OUT"}, cells, "OUT", "PACKETS IN", "ADDRESS")
	})
}
