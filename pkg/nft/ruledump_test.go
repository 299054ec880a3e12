package nft

import (
	"slices"
	"testing"

	"golang.org/x/sys/unix"
)

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
