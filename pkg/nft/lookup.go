package nft

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// Find reads the element with e's key; false where the element, its map or the table does not exist.
func (c *Conn) Find(e Element) (Element, bool, error) {
	found, err := c.FindAll([]Element{e})
	if err != nil || found[0] == nil {
		return Element{}, false, err
	}
	return *found[0], true, nil
}

// FindAll reads the elements with the given keys, many with each system call; nil for a missing one.
// The library asks for one at a time and waits.
func (c *Conn) FindAll(elements []Element) ([]*Element, error) {
	found := make([]*Element, len(elements))
	err := c.ask.AskAll(len(elements), func(i int) netlink.Netfilter {
		return elementQuestion(c.sets[elements[i].Set], elements[i].Key)
	}, func(i int, attrs []byte) error {
		item := netlink.Nested(netlink.Nested(attrs, unix.NFTA_SET_ELEM_LIST_ELEMENTS), unix.NFTA_LIST_ELEM)
		if item == nil {
			return errors.New("answer without an element")
		}
		e := parseElement(c.sets[elements[i].Set], item)
		found[i] = &e
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rules: read %s: %w", elements[0].Name(), err)
	}
	return found, nil
}

// elementQuestion is NFT_MSG_GETSETELEM with one key.
func elementQuestion(set *nftables.Set, key []byte) netlink.Netfilter {
	nested := func(kind uint16, value []byte) []byte {
		return netlink.AppendAttr(nil, unix.NLA_F_NESTED|kind, value...)
	}
	value := netlink.AppendAttr(nil, unix.NFTA_DATA_VALUE, key...)
	elem := nested(unix.NFTA_LIST_ELEM, nested(unix.NFTA_SET_ELEM_KEY, value))
	return question(unix.NFT_MSG_GETSETELEM, set.Table.Family, slices.Concat(
		nameAttr(unix.NFTA_SET_ELEM_LIST_TABLE, set.Table.Name),
		nameAttr(unix.NFTA_SET_ELEM_LIST_SET, set.Name),
		nested(unix.NFTA_SET_ELEM_LIST_ELEMENTS, elem)))
}

// question is a request to nf_tables; kind is NFT_MSG_*.
func question(kind uint16, family nftables.TableFamily, attrs []byte) netlink.Netfilter {
	return netlink.Netfilter{Type: unix.NFNL_SUBSYS_NFTABLES<<8 | kind, Family: uint8(family), Attrs: attrs}
}

func nameAttr(kind uint16, name string) []byte { return netlink.AppendName(nil, kind, name) }

// Exist says for each question whether its object exists.
func (c *Conn) Exist(questions ...netlink.Netfilter) ([]bool, error) {
	found := make([]bool, len(questions))
	err := c.ask.AskAll(len(questions), func(i int) netlink.Netfilter { return questions[i] },
		func(i int, _ []byte) error { found[i] = true; return nil })
	return found, err
}

// parseElement reads one element of a set. Its bytes are copied.
func parseElement(set *nftables.Set, item []byte) Element {
	data := netlink.Nested(item, unix.NFTA_SET_ELEM_DATA)
	value := netlink.Nested(data, unix.NFTA_DATA_VALUE)
	if value == nil {
		value = netlink.Nested(data, unix.NFTA_DATA_VERDICT)
	}
	return fromWire(set, nftables.SetElement{
		Key: bytes.Clone(netlink.Nested(netlink.Nested(item, unix.NFTA_SET_ELEM_KEY), unix.NFTA_DATA_VALUE)), Val: bytes.Clone(value),
		Comment: commentIn(netlink.Nested(item, unix.NFTA_SET_ELEM_USERDATA), userdata.NFTNL_UDATA_SET_ELEM_COMMENT),
		Counter: parseCounter(netlink.Nested(item, unix.NFTA_SET_ELEM_EXPR)),
	})
}

// parseCounter reads an expression of an element; nil where it is no counter.
func parseCounter(e []byte) *expr.Counter {
	n := netlink.Nested(netlink.Nested(e, unix.NFTA_EXPR_DATA), unix.NFTA_COUNTER_PACKETS)
	if netlink.CString(netlink.Nested(e, unix.NFTA_EXPR_NAME)) != "counter" || len(n) != 8 {
		return nil
	}
	return &expr.Counter{Packets: binary.BigEndian.Uint64(n)}
}

// seen is what the kernel says of a chain. hook and priority are of base chains.
type seen struct {
	kind     nftables.ChainType
	hook     nftables.ChainHook
	priority nftables.ChainPriority
}

// is says whether the chain hangs where it is wanted.
func (s *seen) is(want *Hook) bool {
	return s.kind == nftables.ChainType(want.Type) && s.hook == *want.number() && s.priority == nftables.ChainPriority(want.Priority)
}

// look reads chains; nil for those that do not exist.
func (c *Conn) look(chains ...Chain) ([]*seen, error) {
	found := make([]*seen, len(chains))
	err := c.ask.AskAll(len(chains), func(i int) netlink.Netfilter {
		return ChainQuestion(c.tables[chains[i].family()].Family, Table, chains[i].Name)
	}, func(i int, attrs []byte) error {
		found[i] = parseChain(attrs)
		return nil
	})
	if err != nil {
		return nil, fmt.Errorf("rules: read chains: %w", err)
	}
	return found, nil
}

// ChainQuestion asks for a chain.
func ChainQuestion(family nftables.TableFamily, table, chain string) netlink.Netfilter {
	return question(unix.NFT_MSG_GETCHAIN, family, append(
		nameAttr(unix.NFTA_CHAIN_TABLE, table), nameAttr(unix.NFTA_CHAIN_NAME, chain)...))
}

// TableQuestion asks for a table.
func TableQuestion(family nftables.TableFamily, table string) netlink.Netfilter {
	return question(unix.NFT_MSG_GETTABLE, family, nameAttr(unix.NFTA_TABLE_NAME, table))
}

func parseChain(b []byte) *seen {
	hook := netlink.Nested(b, unix.NFTA_CHAIN_HOOK)
	return &seen{
		kind:     nftables.ChainType(netlink.CString(netlink.Nested(b, unix.NFTA_CHAIN_TYPE))),
		hook:     nftables.ChainHook(number(netlink.Nested(hook, unix.NFTA_HOOK_HOOKNUM))),
		priority: nftables.ChainPriority(int32(number(netlink.Nested(hook, unix.NFTA_HOOK_PRIORITY)))),
	}
}

// number reads an attribute of four bytes, as nf_tables writes them; another is 0.
func number(b []byte) uint32 {
	if len(b) != 4 {
		return 0
	}
	return binary.BigEndian.Uint32(b)
}
