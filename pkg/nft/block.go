package nft

import (
	"fmt"
	"slices"
	"strings"

	"github.com/google/nftables"
)

// Block is chains that are made together, with the sets that their rules look into.
type Block struct {
	Place    Place          // the table, and which sets
	Last     string         // the name of the last of Chains: where it is, all are
	Chains   func() []Chain // in the order in which they are made
	Optional bool           // success where the kernel has no nf_tables of the family
}

// String is the nft(8) commands that make the block. The table of family inet is InBase's.
func (b Block) String() string {
	var lines []string
	if b.Place != InTraffic {
		lines = append(lines, command("add table %s %s", b.Place.Family(), Table))
	}
	for _, s := range sets {
		if s.Place == b.Place {
			lines = append(lines, s.String())
		}
	}
	for _, c := range b.Chains() {
		lines = append(lines, c.String())
	}
	return strings.Join(lines, "\n")
}

// Want adds a block, unless the change has it.
func (c *Change) Want(b Block) {
	if !c.Wants(b.Place) {
		c.Blocks = append(c.Blocks, b)
	}
}

// Wants says whether the change has the block.
func (c *Change) Wants(p Place) bool {
	return slices.ContainsFunc(c.Blocks, func(b Block) bool { return b.Place == p })
}

// step queues a part of a transaction.
type step func() error

// chainSteps makes missing blocks and chains part of the transaction. It looks first: otherwise rules
// would be there twice, and an aborted transaction costs an RCU wait.
func (c *Conn) chainSteps(change Change) ([]step, error) {
	var wanted []Chain
	for _, b := range change.Blocks {
		wanted = append(wanted, Chain{Name: b.Last, Family: b.Place.Family()})
	}
	there, err := c.look(append(wanted, change.Chains...)...)
	if err != nil {
		return nil, err
	}
	var steps []step
	for i, b := range change.Blocks {
		switch {
		case there[i] != nil:
		case b.Optional:
			if err := c.tryBlock(b); err != nil {
				return nil, err
			}
		default:
			if b.Place == InBase {
				c.basesMade++
			}
			steps = append(steps, func() error { return c.queueBlock(b) })
		}
	}
	for i, ch := range change.Chains {
		old := there[len(wanted)+i] != nil
		if old && !ch.Anew {
			continue
		}
		steps = append(steps, func() error {
			if old {
				c.nl.DelChain(&nftables.Chain{Table: c.tables[ch.family()], Name: ch.Name})
			}
			c.queueChain(ch)
			return nil
		})
	}
	return steps, nil
}

// tryBlock makes a block in a transaction of its own, where the kernel has its family.
func (c *Conn) tryBlock(b Block) error {
	if err := c.queueBlock(b); err != nil {
		return err
	}
	if err := c.nl.Flush(); err != nil && !Unsupported(err) {
		return fmt.Errorf("rules: add table %s of family %s: %w", Table, b.Place.Family(), err)
	}
	return nil
}

func (c *Conn) queueBlock(b Block) error {
	c.nl.AddTable(c.tables[b.Place.Family()])
	for _, s := range sets {
		if s.Place != b.Place {
			continue
		}
		if err := c.nl.AddSet(c.sets[s.Name], nil); err != nil {
			return fmt.Errorf("rules: set %s: %w", s.Name, err)
		}
	}
	for _, ch := range b.Chains() {
		c.queueChain(ch)
	}
	return nil
}
