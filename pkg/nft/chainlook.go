package nft

import (
	"encoding/binary"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"golang.org/x/sys/unix"
)

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
