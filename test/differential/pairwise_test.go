package differential

import (
	"fmt"
	"slices"
	"strings"
	"testing"
)

// parameter is one key of the configuration and what it may be.
type parameter struct {
	name   string
	values []value
}

// value is one choice: what it does to a configuration.
type value struct {
	name  string
	apply func(c *configuration)
}

// choice names a value of a parameter, "ipam=v4".
type choice string

func (c choice) of() (parameter, value string) {
	parameter, value, _ = strings.Cut(string(c), "=")
	return parameter, value
}

// pair is two choices in the order of their parameters.
type pair struct{ a, b choice }

// pairwise makes few rows in which every allowed pair of values of any two
// parameters occurs: most faults of a combination show with two of its values
// (Kuhn, Wallace, Gallo: "Software fault interactions", 2004). It is deterministic.
func pairwise(params []parameter, allowed func(a, b choice) bool) [][]choice {
	open := make(map[pair]bool)
	var order []pair
	for i, p := range params {
		for _, q := range params[i+1:] {
			for _, pv := range p.values {
				for _, qv := range q.values {
					k := pair{choice(p.name + "=" + pv.name), choice(q.name + "=" + qv.name)}
					if allowed(k.a, k.b) {
						open[k], order = true, append(order, k)
					}
				}
			}
		}
	}
	f := filler{params: params, allowed: allowed, open: open}
	var rows [][]choice
	for _, k := range order {
		if !open[k] {
			continue
		}
		// A pair that no row can hold, since a third parameter has no value that
		// goes with both, is left out.
		if row := f.fill(k, nil); row != nil {
			rows = append(rows, row)
			each(row, func(k pair) { delete(open, k) })
		}
	}
	return rows
}

type filler struct {
	params  []parameter
	allowed func(a, b choice) bool
	open    map[pair]bool
}

// fill completes a row that holds the pair, parameter by parameter, with the value
// that covers most open pairs; a dead end takes back the last choice.
func (f *filler) fill(must pair, row []choice) []choice {
	if len(row) == len(f.params) {
		return row
	}
	p := f.params[len(row)]
	var fitting []choice
	for _, v := range p.values {
		c := choice(p.name + "=" + v.name)
		if f.fits(c, must, row) {
			fitting = append(fitting, c)
		}
	}
	slices.SortStableFunc(fitting, func(a, b choice) int { return f.gain(b, row) - f.gain(a, row) })
	for _, c := range fitting {
		if full := f.fill(must, append(slices.Clone(row), c)); full != nil {
			return full
		}
	}
	return nil
}

func (f *filler) fits(c choice, must pair, row []choice) bool {
	name, _ := c.of()
	for _, m := range []choice{must.a, must.b} {
		if param, _ := m.of(); param == name && m != c || !f.allowed(m, c) {
			return false
		}
	}
	return !slices.ContainsFunc(row, func(o choice) bool { return !f.allowed(o, c) })
}

func (f *filler) gain(c choice, row []choice) int {
	n := 0
	for _, o := range row {
		if f.open[pair{o, c}] {
			n++
		}
	}
	return n
}

func each(row []choice, do func(pair)) {
	for i, a := range row {
		for _, b := range row[i+1:] {
			do(pair{a, b})
		}
	}
}

func TestPairwise(t *testing.T) {
	var params []parameter
	for i := range 5 {
		p := parameter{name: fmt.Sprintf("p%d", i)}
		for j := range 3 {
			p.values = append(p.values, value{name: fmt.Sprint(j)})
		}
		params = append(params, p)
	}
	never := pair{"p0=0", "p1=0"}
	rows := pairwise(params, func(a, b choice) bool { return (pair{a, b}) != never && (pair{b, a}) != never })
	seen := make(map[pair]bool)
	for _, row := range rows {
		each(row, func(k pair) { seen[k] = true })
	}
	if want := 10*9 - 1; len(seen) != want {
		t.Errorf("%d pairs occur, want %d", len(seen), want)
	}
	if seen[never] {
		t.Errorf("%v occur together", never)
	}
	if len(rows) > 20 {
		t.Errorf("%d rows, which is more than a few", len(rows))
	}
}
