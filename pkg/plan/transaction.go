package plan

import (
	"errors"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"golang.org/x/sys/unix"
)

// Transaction is the change of the rules that objects want. A commit makes all of it or
// nothing. After a commit the Transaction remembers what attachments share (tables, addresses
// of services, bridges with ::1): GC of another network may delete an empty table between two
// commits of one ADD, and the next commit makes it again.
type Transaction struct {
	change nft.Change
	shared nft.Change
	soon   bool // see Soon
	// again makes what went with the table and is not in shared.
	again []func(*nft.Conn) error
	// Gone says whether the attachment that holds an element is gone. Held makes the error
	// for a holder that is not gone. An object that wants elements sets both.
	Gone func(s *Session, wanted, held nft.Element) (bool, error)
	Held func(s *Session, held *nft.HeldError) error
}

// Base wants the table of family inet with its base chains.
func (t *Transaction) Base() { t.change.Want(ruleset.Base()) }

// HasBase says whether Base was committed.
func (t *Transaction) HasBase() bool { return t.shared.Wants(nft.InBase) }

// Blocks wants blocks that stand beside Base's, in its table and in that of family bridge.
func (t *Transaction) Blocks(blocks ...nft.Block) {
	t.Base()
	for _, b := range blocks {
		t.change.Want(b)
	}
}

// Frames wants the table of family bridge; with optional it is success if the kernel has none.
func (t *Transaction) Frames(optional bool) {
	b := ruleset.Frames()
	b.Optional = optional
	t.change.Want(b)
}

// Chains wants chains that attachments share.
func (t *Transaction) Chains(list ...nft.Chain) { t.change.Chains = append(t.change.Chains, list...) }

// Elements wants elements.
func (t *Transaction) Elements(list ...nft.Element) {
	t.change.Elements = append(t.change.Elements, list...)
}

// More wants elements beside those that the owner has, and that its mark counts them.
func (t *Transaction) More(mark nft.Element, list ...nft.Element) {
	t.change.Mark = &mark
	t.Elements(list...)
}

// Soon wants the commit before the link carries packets.
func (t *Transaction) Soon() { t.soon = true }

// Services wants the sets of services' addresses to hold exactly these, each with its device.
func (t *Transaction) Services(devices map[netip.Addr]string) {
	t.change.Exactly = ruleset.Services(devices)
}

// Again wants do to run whenever the table was made again.
func (t *Transaction) Again(do func(*nft.Conn) error) { t.again = append(t.again, do) }

// commit makes the change, and empties the transaction.
func (t *Transaction) commit(s *Session) error {
	if t.change.Empty() {
		return nil
	}
	change := t.change
	t.change, t.soon = nft.Change{}, false
	rules, err := s.Rules()
	if err != nil {
		return err
	}
	before, made := t.shared.Wants(nft.InBase), rules.BasesMade()
	t.shared.Share(change)
	if t.Gone != nil {
		change.Gone = Remembered(func(wanted, held nft.Element) (bool, error) { return t.Gone(s, wanted, held) })
	}
	err = rules.Add(change)
	for try := 0; errors.Is(err, unix.ENOENT) && try < 3; try++ {
		change.Share(t.shared)
		err = rules.Add(change)
	}
	if err == nil && before && rules.BasesMade() != made {
		err = rules.Add(t.shared)
		for _, again := range t.again {
			err = errors.Join(err, again(rules))
		}
	}
	var held *nft.HeldError
	if errors.As(err, &held) && t.Held != nil {
		return t.Held(s, held)
	}
	return err
}

// Remembered asks about each holder once. A holder may have a thousand ports.
func Remembered(ask func(wanted, held nft.Element) (bool, error)) func(wanted, held nft.Element) (bool, error) {
	known := make(map[string]bool)
	return func(wanted, held nft.Element) (bool, error) {
		if gone, asked := known[held.Comment]; asked {
			return gone, nil
		}
		gone, err := ask(wanted, held)
		known[held.Comment] = gone
		return gone, err
	}
}
