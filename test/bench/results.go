package main

import (
	"math"
	"slices"
	"time"
)

// key says what was measured. What a number in it counts depends on the part.
type key struct {
	Part    string `json:"part"`
	Variant string `json:"variant"`
	What    string `json:"what"`
	N       int    `json:"n"`
	Ports   int    `json:"ports"`
}

// sample is one measurement: of processes, in milliseconds, or of anything else by Value.
type sample struct {
	key
	Wall  float64            `json:"wall,omitempty"`
	CPU   float64            `json:"cpu,omitempty"`
	Each  map[string]float64 `json:"each,omitempty"` // wall of each plugin
	Value float64            `json:"value,omitempty"`
}

type results struct{ samples []sample }

func milliseconds(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }

func (r *results) cost(k key, m *meter) {
	s := sample{key: k, Wall: milliseconds(m.spent.Wall), CPU: milliseconds(m.spent.CPU), Each: make(map[string]float64)}
	for name, c := range m.each {
		s.Each[name] = milliseconds(c.Wall)
	}
	r.samples = append(r.samples, s)
}

func (r *results) value(k key, v float64) {
	r.samples = append(r.samples, sample{key: k, Value: v})
}

// pick is one number of each sample with the key, sorted.
func (r *results) pick(k key, of func(sample) float64) []float64 {
	var all []float64
	for _, s := range r.samples {
		if s.key == k {
			all = append(all, of(s))
		}
	}
	slices.Sort(all)
	return all
}

func wall(s sample) float64  { return s.Wall }
func cpu(s sample) float64   { return s.CPU }
func value(s sample) float64 { return s.Value }

// quantile of sorted numbers, by nearest rank; NaN of none.
func quantile(sorted []float64, q float64) float64 {
	if len(sorted) == 0 {
		return math.NaN()
	}
	i := int(math.Ceil(q*float64(len(sorted)))) - 1
	return sorted[max(i, 0)]
}

// median is the mean of the two in the middle where there is no middle one.
func median(sorted []float64) float64 {
	n := len(sorted)
	if n == 0 {
		return math.NaN()
	}
	return (sorted[(n-1)/2] + sorted[n/2]) / 2
}

func (r *results) medianWall(k key) float64  { return median(r.pick(k, wall)) }
func (r *results) medianValue(k key) float64 { return median(r.pick(k, value)) }
