package nft

import (
	"bytes"
	"reflect"
	"slices"

	"github.com/google/nftables/expr"
)

// sameShape compares two lists of expressions. The kernel fills in fields that a
// rule leaves open, so only what our rules say is compared.
func sameShape(a, b []expr.Any) bool { return slices.EqualFunc(a, b, sameExpr) }

// sameExpr compares what matters of an expression.
func sameExpr(a, b expr.Any) bool {
	switch a := a.(type) {
	case *expr.Cmp:
		b, ok := b.(*expr.Cmp)
		return ok && a.Op == b.Op && bytes.Equal(a.Data, b.Data)
	case *expr.Lookup:
		b, ok := b.(*expr.Lookup)
		return ok && a.SetName == b.SetName && a.Invert == b.Invert && a.SourceRegister == b.SourceRegister && a.DestRegister == b.DestRegister
	case *expr.Verdict:
		b, ok := b.(*expr.Verdict)
		return ok && a.Kind == b.Kind && a.Chain == b.Chain
	case *expr.Payload:
		b, ok := b.(*expr.Payload)
		return ok && a.Base == b.Base && a.Offset == b.Offset && a.Len == b.Len && a.DestRegister == b.DestRegister
	case *expr.Immediate:
		b, ok := b.(*expr.Immediate)
		return ok && a.Register == b.Register && bytes.Equal(a.Data, b.Data)
	case *expr.Bitwise:
		b, ok := b.(*expr.Bitwise)
		return ok && bytes.Equal(a.Mask, b.Mask) && bytes.Equal(a.Xor, b.Xor)
	case *expr.Meta:
		b, ok := b.(*expr.Meta)
		return ok && a.Key == b.Key && a.Register == b.Register
	case *expr.Dynset:
		b, ok := b.(*expr.Dynset)
		return ok && a.SetName == b.SetName && a.Operation == b.Operation && a.SrcRegKey == b.SrcRegKey
	case *expr.Ct:
		b, ok := b.(*expr.Ct)
		return ok && a.Key == b.Key
	case *expr.Fib:
		b, ok := b.(*expr.Fib)
		return ok && a.FlagDADDR == b.FlagDADDR && a.FlagSADDR == b.FlagSADDR && a.ResultADDRTYPE == b.ResultADDRTYPE
	case *expr.NAT:
		b, ok := b.(*expr.NAT)
		return ok && a.Type == b.Type && a.Family == b.Family && a.RegAddrMin == b.RegAddrMin && a.RegProtoMin == b.RegProtoMin
	}
	return reflect.TypeOf(a) == reflect.TypeOf(b)
}
