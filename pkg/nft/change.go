package nft

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/google/nftables"
)

// Change is what one ADD wants: chains that must exist, and elements to add.
type Change struct {
	Blocks   []Block // made if missing
	Chains   []Chain // shared; made if missing, never changed
	Elements []Element
	// Mark, of an owner that has elements already, counts the change's, too. Remove are elements of
	// this owner that were added by hand and go.
	Mark   *Element
	Remove []Element
	// Exactly is all elements that the sets of a class shall have. Other sets keep theirs.
	Exactly map[Class][]Element
	// Gone says whether the attachment that holds an element is gone, so that the wanted element may
	// replace it; nil: never. Add asks only where an element is in the way.
	Gone func(wanted, held Element) (bool, error)
}

// Empty says that there is nothing to do.
func (c *Change) Empty() bool {
	return len(c.Blocks) == 0 && len(c.Chains) == 0 && len(c.Elements) == 0 && len(c.Exactly) == 0 && len(c.Remove) == 0
}

// Share adds what attachments share of another change: blocks, and addresses of services.
func (c *Change) Share(of Change) {
	for _, b := range of.Blocks {
		c.Want(b)
	}
	if c.Exactly == nil {
		c.Exactly = of.Exactly
	}
}

// HeldError says that another owner has an element with the same key.
type HeldError struct {
	Element Element
	Holder  string // comment of the holder's element
	Target  []byte // value of the holder's element
}

func (e *HeldError) Error() string {
	return fmt.Sprintf("%s is held by %s", e.Element.Name(), e.Holder)
}

// elements are the elements to delete and to add. It reads the keys first: the kernel accepts the
// key and value of another owner's element, and silently keeps that owner's comment.
func (c *Conn) elements(change Change) (del, add []Element, err error) {
	wanted := unique(change.Elements)
	found, err := c.FindAll(wanted)
	if err != nil {
		return nil, nil, err
	}
	elsewhere := make(map[string]bool) // gates of ports that the container has on another network
	for i, e := range wanted {
		have := found[i]
		if elsewhere[e.id()] {
			continue
		}
		if have == nil {
			add = append(add, e)
			continue
		}
		mine := sameOwner(have.Comment, e.Comment)
		if mine && have.sameValue(e) {
			continue
		}
		if !mine && (e.Class() == ClassPort || e.Address().IsValid() && change.Gone != nil) {
			more, err := c.replace(change, e, *have)
			var held *HeldError
			if errors.As(err, &held) && change.Mark == nil && label.SameContainer(have.Comment, e.Comment) {
				heir := *have
				if heir.Comment = label.WithHeir(have.Comment, label.Tag(e.Comment), CommentLimit); heir.Comment != have.Comment {
					del, add = append(del, *have), append(add, heir)
				}
				if gate, ok := AtGate(e, ""); ok {
					elsewhere[gate.id()] = true
				}
				continue
			}
			if err != nil {
				return nil, nil, err
			}
			del = append(del, more...)
		}
		del, add = append(del, *have), append(add, e)
	}
	if change.Mark != nil {
		if del, add, err = c.recount(change, del, add); err != nil {
			return nil, nil, err
		}
	}
	for class, list := range change.Exactly {
		old, fresh, err := c.exactly(class, list)
		if err != nil {
			return nil, nil, err
		}
		del, add = append(del, old...), append(add, fresh...)
	}
	return unique(del), add, nil
}

// exactly are the elements to delete and to add, so that the sets of a class hold these.
func (c *Conn) exactly(class Class, want []Element) (del, add []Element, err error) {
	have, err := c.listWhere(func(s Set) bool { return s.Class == class })
	if err != nil {
		return nil, nil, err
	}
	without := func(list, from []Element) []Element {
		return slices.DeleteFunc(slices.Clone(list), func(e Element) bool { return slices.ContainsFunc(from, e.SameKey) })
	}
	return without(have, want), without(want, have), nil
}

// replace are the elements that go together with one whose owner is gone; else a HeldError.
func (c *Conn) replace(change Change, wanted, held Element) ([]Element, error) {
	gone := false
	if change.Gone != nil {
		var err error
		if gone, err = change.Gone(wanted, held); err != nil {
			return nil, err
		}
	}
	if !gone {
		return nil, &HeldError{Element: wanted, Holder: held.Comment, Target: held.Value}
	}
	if wanted.Class() != ClassPort {
		return nil, nil
	}
	// The holder's gate would stand before our port, unless the change has a gate of its own there.
	gate, _ := AtGate(wanted, "")
	gate, found, err := c.Find(gate)
	if err != nil || !found || !sameOwner(gate.Comment, held.Comment) || slices.ContainsFunc(change.Elements, gate.SameKey) {
		return nil, err
	}
	return []Element{gate}, nil
}

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
	if b.Place == InBase || b.Place.Family() == Bridge {
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
		if there[i] != nil {
			continue
		}
		missing, err := c.missingOf(b)
		if err == nil && b.Optional {
			err = c.tryBlock(b.Place, missing)
		}
		if err != nil {
			return nil, err
		}
		if b.Optional {
			continue
		}
		if b.Place == InBase {
			c.basesMade++
		}
		steps = append(steps, func() error { return c.queueBlock(b.Place, missing) })
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
			return c.queueChain(ch)
		})
	}
	return steps, nil
}

// tryBlock makes a block in a transaction of its own, where the kernel has its family.
func (c *Conn) tryBlock(place Place, chains []Chain) error {
	if err := c.queueBlock(place, chains); err != nil {
		return err
	}
	if err := c.nl.Flush(); err != nil && !Unsupported(err) {
		return fmt.Errorf("rules: add table %s of family %s: %w", Table, place.Family(), err)
	}
	return nil
}

// missingOf are the block's chains that the kernel lacks. Some exist where an earlier release, which
// had fewer, has made them: their rules must not be there twice.
func (c *Conn) missingOf(b Block) (missing []Chain, err error) {
	chains := b.Chains()
	there, err := c.look(chains...)
	for i := range there {
		if there[i] == nil {
			missing = append(missing, chains[i])
		}
	}
	return missing, err
}

func (c *Conn) queueBlock(place Place, chains []Chain) error {
	c.nl.AddTable(c.tables[place.Family()])
	for _, s := range sets {
		if s.Place != place {
			continue
		}
		if err := c.nl.AddSet(c.sets[s.Name], nil); err != nil {
			return fmt.Errorf("rules: set %s: %w", s.Name, err)
		}
	}
	var errs []error
	for _, ch := range chains {
		errs = append(errs, c.queueChain(ch))
	}
	return errors.Join(errs...)
}
