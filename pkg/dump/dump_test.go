package dump

import (
	"errors"
	"testing"
)

func TestWhole(t *testing.T) {
	interrupted, other := errors.New("interrupted"), errors.New("other")
	for name, c := range map[string]struct {
		answers []error // of the calls; the last repeats
		want    error
		calls   int
	}{
		"at once":             {[]error{nil}, nil, 1},
		"after interruptions": {[]error{interrupted, interrupted, nil}, nil, 3},
		"another error":       {[]error{interrupted, other}, other, 2},
		"always interrupted":  {[]error{interrupted}, interrupted, tries},
	} {
		calls := 0
		got, err := Whole(interrupted, func() ([]int, error) {
			calls++
			return []int{calls}, c.answers[min(calls, len(c.answers))-1]
		})
		if !errors.Is(err, c.want) || calls != c.calls || got[0] != calls {
			t.Errorf("%s: got %v, %v after %d calls", name, got, err, calls)
		}
	}
}
