package node

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// content is what a set has.
type content struct {
	list     []nftables.SetElement
	interval bool
}

// elementsOf reads a set, once; nil where that can't be done, or the set has ranges in several fields.
func (judge *Judge) elementsOf(table *nftables.Table, name string) *content {
	key := fmt.Sprint(table.Family, table.Name, name)
	if known, asked := judge.sets[key]; asked {
		return known
	}
	judge.sets[key] = nil
	conn, err := nftables.New()
	if err != nil {
		return nil
	}
	set, err := conn.GetSetByName(table, name)
	if err != nil || set.Interval && set.Concatenation {
		return nil
	}
	set.Table = table
	if list, err := conn.GetSetElements(set); err == nil {
		if set.Interval {
			slices.SortStableFunc(list, nft.ByKey)
		}
		judge.sets[key] = &content{list, set.Interval}
	}
	return judge.sets[key]
}

// find is the element of the rule's set that what is in the registers leads to.
func (judge *Judge) find(c Chain, regs registers, e *expr.Lookup) (match, nftables.SetElement) {
	none := nftables.SetElement{}
	set := judge.elementsOf(c.rules[0].Table, e.SetName)
	if set == nil {
		return maybe, none
	}
	if len(set.list) == 0 {
		return no, none
	}
	key := regs.read(e.SourceRegister, len(set.list[0].Key))
	if !key.whole() {
		return maybe, none
	}
	if set.interval {
		return within(set.list, key.value)
	}
	i := slices.IndexFunc(set.list, func(el nftables.SetElement) bool { return bytes.Equal(el.Key, key.value) })
	if i < 0 {
		return no, none
	}
	return yes, set.list[i]
}

// verdictIn is the verdict of a map's element, which the library leaves as it was read.
func verdictIn(e nftables.SetElement) *expr.Verdict {
	code := netlink.Nested(e.Val, unix.NFTA_VERDICT_CODE)
	if len(code) != 4 {
		return &expr.Verdict{Kind: expr.VerdictContinue}
	}
	return &expr.Verdict{
		Kind:  expr.VerdictKind(int32(binary.BigEndian.Uint32(code))),
		Chain: netlink.CString(netlink.Nested(e.Val, unix.NFTA_VERDICT_CHAIN)),
	}
}

// within finds the interval of a key, in the order of nft.ByKey. The kernel has the first key of each, and the
// one after its last.
func within(elements []nftables.SetElement, key []byte) (match, nftables.SetElement) {
	i := slices.IndexFunc(elements, func(el nftables.SetElement) bool { return bytes.Compare(el.Key, key) > 0 })
	if i < 0 {
		i = len(elements)
	}
	if i == 0 || elements[i-1].IntervalEnd {
		return no, nftables.SetElement{}
	}
	return yes, elements[i-1]
}
