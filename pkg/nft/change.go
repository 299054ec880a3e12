package nft

import (
	"errors"
	"fmt"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
)

// Change is what one ADD wants: chains that must exist, and elements to add.
type Change struct {
	Blocks   []Block // made if missing
	Chains   []Chain // shared; made if missing, never changed
	Elements []Element
	// Exactly is all elements that the sets of a class shall have. Sets of other classes keep their
	// elements.
	Exactly map[Class][]Element
	// Gone says whether the attachment that holds an element is gone, so that the wanted element may
	// replace it; nil: never. Add asks only where an element is in the way.
	Gone func(wanted, held Element) (bool, error)
}

// Empty says that there is nothing to do.
func (c *Change) Empty() bool {
	return len(c.Blocks) == 0 && len(c.Chains) == 0 && len(c.Elements) == 0 && len(c.Exactly) == 0
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

// elements are the elements to delete and to add. It reads the keys first: the kernel silently
// accepts an element with the key and value of another owner's element, and keeps the other
// owner's comment.
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
			if errors.As(err, &held) && label.SameContainer(have.Comment, e.Comment) {
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

// replace are the elements that must go together with the held element, whose owner is gone; a
// HeldError where the owner is not gone.
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
