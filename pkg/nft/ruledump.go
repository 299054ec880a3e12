package nft

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
)

// kernelRule is a rule of the kernel.
type kernelRule struct {
	comment string
	exprs   []expr.Any // nil stands for an expression that no rule of ours has
}

// rulesSize holds what the kernel gives at once (NLMSG_GOODSIZE, and as much as was read
// before, up to 32 KB).
const rulesSize = 32 << 10

// rules reads the rules of one chain, or of all chains of the table if chain is "", by
// chain; buf has room for rulesSize. The library asks for one chain at a time, with a new
// buffer for each answer.
func (c *Conn) rules(table *nftables.Table, chain string, buf []byte) (map[string][]kernelRule, error) {
	attrs := appendName(nil, unix.NFTA_RULE_TABLE, table.Name)
	if chain != "" {
		attrs = appendName(attrs, unix.NFTA_RULE_CHAIN, chain)
	}
	question := appendMessage(nil, unix.NFT_MSG_GETRULE, table.Family, 1, attrs)
	binary.NativeEndian.PutUint16(question[6:], unix.NLM_F_REQUEST|unix.NLM_F_DUMP)
	found := make(map[string][]kernelRule)
	err := dump.Again(errInterrupted, func() error {
		clear(found)
		return c.dumpRules(question, buf, func(b []byte) error { return parseRule(b, byte(table.Family), found) })
	})
	if err != nil {
		return nil, fmt.Errorf("rules: list table %s: %w", table.Name, err)
	}
	return found, nil
}

var errInterrupted = errors.New("the rules changed meanwhile")

// dumpRules takes all parts of the answer, whatever is in them, so that none is there for
// the next question.
func (c *Conn) dumpRules(question, buf []byte, take func(payload []byte) error) error {
	if err := c.send(question); err != nil {
		return err
	}
	var errs []error
	for {
		n, err := c.receive(buf)
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
		done, err := eachMessage(buf[:n], take)
		errs = append(errs, err)
		if done {
			return errors.Join(errs...)
		}
	}
}

// eachMessage hands out what follows struct nfgenmsg in each message of a datagram, and
// says whether the last one was there.
func eachMessage(b []byte, take func(payload []byte) error) (done bool, err error) {
	var errs []error
	for len(b) >= messageHead {
		n := int(binary.NativeEndian.Uint32(b))
		if n < messageHead || n > len(b) {
			break
		}
		if binary.NativeEndian.Uint16(b[6:])&unix.NLM_F_DUMP_INTR != 0 {
			errs = append(errs, errInterrupted)
		}
		switch binary.NativeEndian.Uint16(b[4:]) {
		case unix.NLMSG_ERROR, unix.NLMSG_DONE: // each begins with an errno, 0 or less
			if errno := errnoIn(b); errno != 0 {
				errs = append(errs, errno)
			}
			return true, errors.Join(errs...)
		}
		errs = append(errs, take(b[messageHead:n]))
		b = b[min((n+3)&^3, len(b)):]
	}
	if len(b) > 0 {
		return true, errors.Join(append(errs, errAnswer)...)
	}
	return false, errors.Join(errs...)
}

// parseRule adds the rule to those of its chain.
func parseRule(b []byte, family byte, found map[string][]kernelRule) error {
	var rule kernelRule
	var chain string
	var errs []error
	attrs(b, func(kind uint16, data []byte) {
		switch kind {
		case unix.NFTA_RULE_CHAIN:
			chain = cString(data)
		case unix.NFTA_RULE_USERDATA:
			rule.comment = commentIn(data, userdata.TypeComment)
		case unix.NFTA_RULE_EXPRESSIONS:
			attrs(data, func(_ uint16, item []byte) {
				e, err := parseExpr(family, cString(nested(item, unix.NFTA_EXPR_NAME)), nested(item, unix.NFTA_EXPR_DATA))
				rule.exprs = append(rule.exprs, e)
				errs = append(errs, err)
			})
		}
	})
	found[chain] = append(found[chain], rule)
	return errors.Join(errs...)
}

// parseExpr reads an expression of a kind that rules of ours have; nil for others.
func parseExpr(family byte, name string, data []byte) (expr.Any, error) {
	var e expr.Any
	switch name {
	case "bitwise":
		e = &expr.Bitwise{}
	case "cmp":
		e = &expr.Cmp{}
	case "connlimit":
		e = &expr.Connlimit{}
	case "counter":
		return &expr.Counter{}, nil // counts are not ours to compare
	case "ct":
		e = &expr.Ct{}
	case "dup":
		e = &expr.Dup{}
	case "dynset":
		e = &expr.Dynset{}
	case "fib":
		e = &expr.Fib{}
	case "immediate":
		if nested(nested(data, unix.NFTA_IMMEDIATE_DATA), unix.NFTA_DATA_VERDICT) != nil {
			e = &expr.Verdict{}
		} else {
			e = &expr.Immediate{}
		}
	case "lookup":
		e = &expr.Lookup{}
	case "masq":
		e = &expr.Masq{}
	case "meta":
		e = &expr.Meta{}
	case "nat":
		e = &expr.NAT{}
	case "notrack":
		return &expr.Notrack{}, nil // has no data
	case "payload":
		e = &expr.Payload{}
	case "reject":
		e = &expr.Reject{}
	default:
		return nil, nil
	}
	if err := expr.Unmarshal(family, data, e); err != nil {
		return nil, fmt.Errorf("rules: expression %s: %w", name, err)
	}
	return e, nil
}
