package nft

import (
	"testing"

	"github.com/google/nftables/expr"
)

func find[T expr.Any](exprs []expr.Any) T {
	for _, e := range exprs {
		if x, ok := e.(T); ok {
			return x
		}
	}
	panic("no such expression")
}

// copyOf is a deep copy, so that a test does not change what it compares with.
func copyOf(t *testing.T, exprs []expr.Any) []expr.Any {
	t.Helper()
	var out []expr.Any
	for _, e := range exprs {
		switch x := e.(type) {
		case *expr.Meta:
			out = append(out, &expr.Meta{Key: x.Key, Register: x.Register})
		case *expr.Cmp:
			y := *x
			out = append(out, &y)
		case *expr.Payload:
			y := *x
			out = append(out, &y)
		case *expr.Bitwise:
			y := *x
			out = append(out, &y)
		case *expr.Lookup:
			y := *x
			out = append(out, &y)
		case *expr.NAT:
			y := *x
			out = append(out, &y)
		case *expr.Verdict:
			y := *x
			out = append(out, &y)
		default:
			t.Fatalf("no copy of %T", e)
		}
	}
	return out
}
