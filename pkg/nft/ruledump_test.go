package nft

import (
	"errors"
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

// TestEachMessage: what a datagram of a list says, beside its rules.
func TestEachMessage(t *testing.T) {
	ch := baseChains()[0]
	rule := ruleMessage(t, ch, ch.Rules[0], 0)
	for name, c := range map[string]struct {
		datagram []byte
		rules    int
		done     bool
		want     error
	}{
		"a part":                 {slices.Concat(rule, rule), 2, false, nil},
		"the last part":          {slices.Concat(rule, doneMessage(0, 0)), 1, true, nil},
		"nothing":                {doneMessage(0, 0), 0, true, nil},
		"an error":               {doneMessage(unix.EPERM, 0), 0, true, unix.EPERM},
		"interrupted":            {slices.Concat(ruleMessage(t, ch, ch.Rules[0], unix.NLM_F_DUMP_INTR), doneMessage(0, 0)), 1, true, errInterrupted},
		"interrupted at the end": {slices.Concat(rule, doneMessage(0, unix.NLM_F_DUMP_INTR)), 1, true, errInterrupted},
		"cut off":                {rule[:len(rule)-4], 0, true, errAnswer},
	} {
		found := make(map[string][]kernelRule)
		done, err := eachMessage(c.datagram, func(b []byte) error { return parseRule(b, unix.NFPROTO_INET, found) })
		if done != c.done || !errors.Is(err, c.want) || len(found[ch.Name]) != c.rules {
			t.Errorf("%s: got %d rules, done %v, %v", name, len(found[ch.Name]), done, err)
		}
		for _, r := range found[ch.Name] {
			if bad := compareRules("x", ch.Rules[:1], []kernelRule{r}); len(bad) > 0 {
				t.Errorf("%s: %q", name, bad)
			}
		}
	}
}

// TestForeignExpression: a rule with an expression that ours never have is not ours.
func TestForeignExpression(t *testing.T) {
	if e, err := parseExpr(unix.NFPROTO_INET, "quota", nil); e != nil || err != nil {
		t.Errorf("got %v, %v", e, err)
	}
	want := baseChains()[0].Rules[:1]
	have := kernelRule{want[0].Comment, append(slices.Clone(want[0].exprs), nil)}
	if bad := compareRules("x", want, []kernelRule{have}); len(bad) != 1 {
		t.Errorf("got %q", bad)
	}
}
