package main

import (
	"fmt"
	"io"
)

// against compares two builds of ours, in turns: whether a change pays is decided by this.
func (r *rig) against(other string, rounds int, w io.Writer) error {
	var hosts []*host
	for _, v := range ours[:2] {
		for _, bin := range []string{r.bin, other} {
			h, err := r.newHost(v, bin, false)
			if err != nil {
				return err
			}
			h.bin = bin
			if bin == other {
				h.name += ", other"
			}
			hosts = append(hosts, h)
		}
	}
	if err := r.lives(partVerbs, 0, rounds, hosts, 1); err != nil {
		return err
	}
	lines := [][]string{{"verb", "variant", "wall ms", "other", "change %", "CPU ms", "other", "change %"}}
	for _, v := range ours[:2] {
		for _, verb := range hosts[0].verbsOf() {
			line := []string{verb, v.name}
			for _, of := range []func(sample) float64{wall, cpu} {
				mine := middle(r.results.pick(key{partVerbs, v.name, verb, 0, 1}, of))
				others := middle(r.results.pick(key{partVerbs, v.name + ", other", verb, 0, 1}, of))
				line = append(line, short(mine), short(others), fmt.Sprintf("%+.1f", 100*(mine-others)/others))
			}
			lines = append(lines, line)
		}
	}
	table(w, lines)
	return nil
}

// middle is the mean of the faster half: what else the machine does only adds, and
// differences of a few percent are smaller than the grain of a median.
func middle(sorted []float64) float64 {
	sum, n := 0.0, max(len(sorted)/2, 1)
	for _, v := range sorted[:n] {
		sum += v
	}
	return sum / float64(n)
}
