package nft

import (
	"bytes"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
)

// Change is what one ADD wants: chains that must exist, and elements to add.
type Change struct {
	Base bool // table, sets and base chains must exist
	Link bool // the same of family bridge
	// LinkOptional is success for Link on a kernel without nf_tables for bridges.
	LinkOptional bool
	Traffic      bool    // the chain that looks at connections, in the table of Base
	Chains       []Chain // shared; made if missing, never changed
	Elements     []Element
	// VIPs are all addresses of services, with the device that has them; nil: as they
	// are known.
	VIPs map[netip.Addr]string
	// Gone says whether the attachment that holds an element is gone, so that the
	// element may be replaced by the wanted one; nil: never. It is asked only where
	// an element is in the way.
	Gone func(wanted, held Element) (bool, error)
}

// Empty says that there is nothing to do.
func (c *Change) Empty() bool {
	return !c.Base && !c.Link && !c.Traffic && len(c.Chains) == 0 && len(c.Elements) == 0 && c.VIPs == nil
}

// Share adds what attachments share of another change: tables, chains of theirs, addresses
// of services.
func (c *Change) Share(of Change) {
	c.Base, c.Traffic = c.Base || of.Base, c.Traffic || of.Traffic
	if of.Link && !c.Link {
		c.Link, c.LinkOptional = true, of.LinkOptional
	}
	if c.VIPs == nil {
		c.VIPs = of.VIPs
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

// elements are those to delete and to add. The keys are read first: the kernel silently
// accepts an element with the same key and value as another owner's and keeps that
// one's comment.
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
		if !mine && !perAddress(e.Set) {
			more, err := c.replace(change, e, *have)
			var held *HeldError
			if errors.As(err, &held) && SameContainer(have.Comment, e.Comment) {
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
	if change.VIPs != nil {
		old, fresh, err := c.vips(change.VIPs)
		if err != nil {
			return nil, nil, err
		}
		del, add = append(del, old...), append(add, fresh...)
	}
	return unique(del), add, nil
}

// SameContainer says whether two comments are of one container, on two networks: a
// runtime hands each of them the same ports, and the first that has one keeps it.
func SameContainer(a, b string) bool {
	id := containerOf(a)
	return id != "" && id == containerOf(b)
}

// containerOf is the container's ID in "tag network/container/link …"; "" where the
// comment was cut before its end.
func containerOf(comment string) string {
	words := strings.Fields(comment)
	if len(words) < 2 {
		return ""
	}
	parts := strings.Split(words[1], "/")
	if len(parts) != 3 {
		return ""
	}
	return parts[1]
}

// replace says what must go beside an element of somebody who is gone.
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
	// Its gate would stand before our port.
	gate, found, err := c.Find(Element{Set: gateSets[wanted.Set], Key: wanted.Key})
	if err != nil || !found || !sameOwner(gate.Comment, held.Comment) || gated(change, gate) {
		return nil, err
	}
	return []Element{gate}, nil
}

// gated says whether the change has an element of its own in the gate's place.
func gated(change Change, gate Element) bool {
	return slices.ContainsFunc(change.Elements, func(e Element) bool {
		return e.Set == gate.Set && bytes.Equal(e.Key, gate.Key)
	})
}
