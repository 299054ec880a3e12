// Package report writes the node's state for others: metrics, and a bundle for a bug report.
package report

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"math"
	"os"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
)

// sample is one line of Prometheus' text format.
type sample struct {
	labels []string // name, value, name, value…
	value  float64
	part   string // of a histogram: "_sum"
}

func family(w io.Writer, name, kind, help string, samples []sample) {
	fmt.Fprintf(w, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, kind)
	for _, s := range samples {
		var pairs []string
		for pair := range slices.Chunk(s.labels, 2) {
			pairs = append(pairs, pair[0]+"="+strconv.Quote(pair[1]))
		}
		fmt.Fprintf(w, "%s%s{%s} %s\n", name, s.part, strings.Join(pairs, ","), strconv.FormatFloat(s.value, 'g', -1, 64))
	}
}

// Metrics is the node in Prometheus' text format. The plugins' logs tell of latency and failures.
func Metrics(p *doctor.Patient, findings []doctor.Finding, logs []string) []byte {
	var b bytes.Buffer
	networks(&b, p)
	var checks []sample
	count := make(map[string]float64)
	for _, f := range findings {
		count[f.Check]++
	}
	for _, c := range doctor.Checks() {
		checks = append(checks, sample{labels: []string{"check", c.Name, "severity", c.Severity}, value: count[c.Name]})
	}
	family(&b, "bridgeport_findings", "gauge", "What each check of doctor finds.", checks)
	verbs(&b, logs)
	return b.Bytes()
}

func networks(w io.Writer, p *doctor.Patient) {
	var size, used, ports, states, rx, tx []sample
	for _, n := range p.Networks {
		for _, pool := range n.Pools {
			labels := []string{"network", n.Name, "range", pool.Range}
			size = append(size, sample{labels: labels, value: pool.Size})
			used = append(used, sample{labels: labels, value: float64(pool.Used)})
		}
		count := make(map[string]float64)
		var in, out float64
		for _, a := range p.List {
			if a.Network == n.Name {
				count[a.State]++
				in += float64(a.Traffic.RxBytes)
				out += float64(a.Traffic.TxBytes)
			}
		}
		for _, state := range []string{attachment.OK, attachment.Foreign, attachment.Drift, attachment.Orphan, attachment.Doubt} {
			states = append(states, sample{labels: []string{"network", n.Name, "state", state}, value: count[state]})
		}
		ports = append(ports, sample{labels: []string{"network", n.Name}, value: float64(n.Ports)})
		rx = append(rx, sample{labels: []string{"network", n.Name}, value: in})
		tx = append(tx, sample{labels: []string{"network", n.Name}, value: out})
	}
	family(w, "bridgeport_pool_addresses", "gauge", "Addresses that a pool may hand out.", size)
	family(w, "bridgeport_pool_leased", "gauge", "Addresses that are leased.", used)
	family(w, "bridgeport_attachments", "gauge", "Attachments by state: drift wants repair, orphans are leaks and want gc.", states)
	family(w, "bridgeport_published_ports", "gauge", "Published ports.", ports)
	family(w, "bridgeport_attachments_received_bytes", "gauge", "What the containers that are attached now have received.", rx)
	family(w, "bridgeport_attachments_sent_bytes", "gauge", "What the containers that are attached now have sent.", tx)
}

// Line is one line of the plugins' log.
type Line struct {
	Plugin, Verb, Network string
	Milliseconds          float64 `json:"ms"`
	Code                  uint    `json:"code"` // 0 for success
}

// bounds of the latency histogram, in seconds.
var bounds = []float64{.001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 5, math.Inf(1)}

// verbs counts the log's lines. Without a log there are none.
func verbs(w io.Writer, logs []string) {
	type key [3]string // plugin, verb, network
	buckets := make(map[key][]float64)
	sums := make(map[key]float64)
	failures := make(map[key]map[uint]float64)
	each(logs, func(l Line) {
		k := key{l.Plugin, l.Verb, l.Network}
		if buckets[k] == nil {
			buckets[k], failures[k] = make([]float64, len(bounds)), make(map[uint]float64)
		}
		seconds := l.Milliseconds / 1000
		i, _ := slices.BinarySearch(bounds, seconds)
		buckets[k][i]++
		sums[k] += seconds
		if l.Code != 0 {
			failures[k][l.Code]++
		}
	})
	var durations, failed []sample
	for _, k := range slices.SortedFunc(maps.Keys(buckets), func(a, b key) int { return slices.Compare(a[:], b[:]) }) {
		labels := []string{"plugin", k[0], "verb", k[1], "network", k[2]}
		total := 0.0
		for i, n := range buckets[k] {
			total += n
			durations = append(durations, sample{append(slices.Clip(labels), "le", fmt.Sprint(bounds[i])), total, "_bucket"})
		}
		durations = append(durations, sample{labels, sums[k], "_sum"}, sample{labels, total, "_count"})
		for _, code := range slices.Sorted(maps.Keys(failures[k])) {
			failed = append(failed, sample{labels: append(slices.Clip(labels), "code", fmt.Sprint(code)), value: failures[k][code]})
		}
	}
	family(w, "bridgeport_verb_duration_seconds", "histogram", "How long calls took, by the plugins' log.", durations)
	family(w, "bridgeport_verb_failures", "counter", "Calls that failed, by the code of the error.", failed)
}

// each reads the lines of logs, the older file of each first.
func each(logs []string, fn func(Line)) {
	for _, path := range logs {
		for _, file := range []string{path + ".1", path} {
			data, _ := os.ReadFile(file) // it may not be written yet
			for line := range bytes.Lines(data) {
				var l Line
				if json.Unmarshal(line, &l) == nil && l.Verb != "" {
					fn(l)
				}
			}
		}
	}
}
