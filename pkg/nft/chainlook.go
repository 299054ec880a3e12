package nft

import (
	"encoding/binary"
	"fmt"
	"slices"

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
func (s *seen) is(want *hook) bool {
	return s.kind == want.kind && s.hook == *want.hook && s.priority == want.priority
}

// look reads chains, with one system call for each window of questions; nil for those
// that do not exist. The library asks for one at a time and waits.
func (c *Conn) look(chains ...Chain) ([]*seen, error) {
	found := make([]*seen, 0, len(chains))
	answer := make([]byte, answerSize)
	for batch := range slices.Chunk(chains, window) {
		var out []byte
		for i, ch := range batch {
			table := c.tableOf(ch)
			out = appendMessage(out, unix.NFT_MSG_GETCHAIN, table.Family, uint32(i+1), chainAttrs(table.Name, ch.Name))
		}
		some := make([]*seen, len(batch))
		err := c.ask(out, len(batch), answer, func(b []byte) error {
			seq, is, err := parseHead(b, len(batch))
			if err == nil && is {
				some[seq-1] = parseChain(b[messageHead:binary.NativeEndian.Uint32(b)])
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("rules: read chains: %w", err)
		}
		found = append(found, some...)
	}
	return found, nil
}

func chainAttrs(table, chain string) []byte {
	return appendName(appendName(nil, unix.NFTA_CHAIN_TABLE, table), unix.NFTA_CHAIN_NAME, chain)
}

// appendName is an attribute with a name, which ends in a zero.
func appendName(b []byte, kind uint16, name string) []byte {
	return appendAttr(b, kind, append([]byte(name), 0))
}

// question asks whether an object of nf_tables exists.
type question struct {
	kind   uint16
	family nftables.TableFamily
	attrs  []byte
}

// there answers few questions with one system call.
func (c *Conn) there(questions ...question) ([]bool, error) {
	var out []byte
	for i, q := range questions {
		out = appendMessage(out, q.kind, q.family, uint32(i+1), q.attrs)
	}
	found := make([]bool, len(questions))
	err := c.ask(out, len(questions), make([]byte, answerSize), func(b []byte) error {
		seq, is, err := parseHead(b, len(questions))
		if is {
			found[seq-1] = true
		}
		return err
	})
	return found, err
}

func parseChain(b []byte) *seen {
	s := &seen{}
	attrs(b, func(kind uint16, data []byte) {
		switch kind {
		case unix.NFTA_CHAIN_TYPE:
			s.kind = nftables.ChainType(cString(data))
		case unix.NFTA_CHAIN_HOOK:
			if n := nested(data, unix.NFTA_HOOK_HOOKNUM); len(n) == 4 {
				s.hook = nftables.ChainHook(binary.BigEndian.Uint32(n))
			}
			if n := nested(data, unix.NFTA_HOOK_PRIORITY); len(n) == 4 {
				s.priority = nftables.ChainPriority(binary.BigEndian.Uint32(n))
			}
		}
	})
	return s
}
