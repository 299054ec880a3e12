package kernel

import (
	"fmt"
	"strings"
)

// Drift is the difference between one object of the plan and the kernel.
type Drift struct {
	Object string
	Diffs  []Diff
}

// Diff is one field. Have is "" where the thing is missing altogether.
type Diff struct {
	Field, Want, Have string
}

func (d *Drift) Error() string {
	parts := make([]string, len(d.Diffs))
	for i, f := range d.Diffs {
		if f.Have == "" {
			parts[i] = fmt.Sprintf("%s %s is missing", f.Field, f.Want)
			continue
		}
		parts[i] = fmt.Sprintf("%s is %s, expected %s", f.Field, f.Have, f.Want)
	}
	return d.Object + ": " + strings.Join(parts, ", ")
}

// want notes a difference, if there is one.
func (d *Drift) want(field string, want, have any) {
	w, h := fmt.Sprint(want), fmt.Sprint(have)
	if w != h {
		d.Diffs = append(d.Diffs, Diff{field, w, h})
	}
}

// missing notes that the thing itself does not exist.
func (d *Drift) missing(field, what string) {
	d.Diffs = append(d.Diffs, Diff{Field: field, Want: what})
}

// err is nil without differences.
func (d *Drift) err() error {
	if len(d.Diffs) == 0 {
		return nil
	}
	return d
}
