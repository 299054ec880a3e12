package nft

import (
	"fmt"
	"slices"

	"github.com/google/nftables/expr"
)

// sameShape compares two lists of expressions. The kernel fills in fields that a
// rule leaves open, so only what our rules say is compared.
func sameShape(a, b []expr.Any) bool {
	return slices.EqualFunc(a, b, func(x, y expr.Any) bool { return shape(x) == shape(y) })
}

// shape is what matters of an expression, as text.
func shape(e expr.Any) string {
	switch e := e.(type) {
	case *expr.Cmp:
		return fmt.Sprint("cmp ", e.Op, e.Data)
	case *expr.Lookup:
		return fmt.Sprint("lookup ", e.SetName, e.Invert, e.SourceRegister, e.DestRegister)
	case *expr.Verdict:
		return fmt.Sprint("verdict ", e.Kind, e.Chain)
	case *expr.Payload:
		return fmt.Sprint("payload ", e.Base, e.Offset, e.Len, e.DestRegister)
	case *expr.Immediate:
		return fmt.Sprint("immediate ", e.Register, e.Data)
	case *expr.Bitwise:
		return fmt.Sprint("bitwise ", e.Mask, e.Xor)
	case *expr.Meta:
		return fmt.Sprint("meta ", e.Key, e.Register)
	case *expr.Dynset:
		return fmt.Sprint("dynset ", e.SetName, e.Operation, e.SrcRegKey)
	case *expr.Ct:
		return fmt.Sprint("ct ", e.Key)
	case *expr.Fib:
		return fmt.Sprint("fib ", e.FlagDADDR, e.FlagSADDR, e.ResultADDRTYPE)
	case *expr.NAT:
		return fmt.Sprint("nat ", e.Type, e.Family, e.RegAddrMin, e.RegProtoMin)
	}
	return fmt.Sprintf("%T", e)
}
