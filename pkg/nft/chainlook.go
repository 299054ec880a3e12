package nft

import (
	"encoding/binary"
	"fmt"

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

// look reads chains; nil for those that do not exist.
func (c *Conn) look(chains ...Chain) ([]*seen, error) {
	questions := make([]question, len(chains))
	for i, ch := range chains {
		table := c.tableOf(ch)
		questions[i] = question{unix.NFT_MSG_GETCHAIN, table.Family, chainAttrs(table.Name, ch.Name)}
	}
	found := make([]*seen, len(chains))
	err := c.askAll(questions, func(i int, payload []byte) { found[i] = parseChain(payload) })
	if err != nil {
		return nil, fmt.Errorf("rules: read chains: %w", err)
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

// there says which of the objects exist.
func (c *Conn) there(questions ...question) ([]bool, error) {
	found := make([]bool, len(questions))
	err := c.askAll(questions, func(i int, _ []byte) { found[i] = true })
	return found, err
}

// askAll asks with one system call for each window of questions; the library asks for one
// at a time and waits. It hands out what there is, by the question's place.
func (c *Conn) askAll(questions []question, take func(i int, payload []byte)) error {
	answer := make([]byte, answerSize)
	for from := 0; from < len(questions); from += window {
		to := min(from+window, len(questions))
		var out []byte
		for i, q := range questions[from:to] {
			out = appendMessage(out, q.kind, q.family, uint32(i+1), q.attrs)
		}
		err := c.ask(out, to-from, answer, func(b []byte) error {
			seq, is, err := parseHead(b, to-from)
			if err == nil && is {
				take(from+seq-1, b[messageHead:binary.NativeEndian.Uint32(b)])
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
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
