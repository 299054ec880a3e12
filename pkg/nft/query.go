package nft

import (
	"bytes"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// maxTries bounds how often a deletion starts again because somebody changed the rules between the
// read and the commit (a window of about 40 us).
const maxTries = 20

// ErrFewer says that there are fewer elements of the owner than expected.
var ErrFewer = errors.New("fewer elements than expected")

// sameOwner compares the tags that two comments begin with.
func sameOwner(a, b string) bool { return label.Tag(a) == label.Tag(b) }

func (e Element) sameValue(o Element) bool {
	return bytes.Equal(e.Value, o.Value) && e.Chain == o.Chain
}

func (e Element) wire() nftables.SetElement {
	w := nftables.SetElement{Key: e.Key, Val: e.Value, Comment: e.Comment}
	if e.Chain != "" {
		w.VerdictData = &expr.Verdict{Kind: expr.VerdictJump, Chain: e.Chain}
	}
	return w
}

// List reads all elements of a set or map; nil where it does not exist. Reading
// 50,000 takes seconds, so ADD and DEL must not.
func (c *Conn) List(name string) ([]Element, error) {
	set := c.sets[name]
	got, err := c.nl.GetSetElements(set)
	if errors.Is(err, unix.ENOENT) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("rules: list %s: %w", name, err)
	}
	elements := make([]Element, len(got))
	for i, g := range got {
		elements[i] = fromWire(set, g)
	}
	return elements, nil
}

// Everything lists the elements of all sets and maps, in the order of the sets. It costs a List each.
func (c *Conn) Everything() ([]Element, error) { return c.listWhere(func(Set) bool { return true }) }

// Ports lists the elements of the maps of published ports.
func (c *Conn) Ports() ([]Element, error) {
	return c.listWhere(func(s Set) bool { return s.Class == ClassPort })
}

func (c *Conn) listWhere(is func(Set) bool) ([]Element, error) {
	var all []Element
	for _, s := range sets {
		if !is(s) {
			continue
		}
		list, err := c.List(s.Name)
		if err != nil {
			return nil, err
		}
		all = append(all, list...)
	}
	return all, nil
}

func fromWire(set *nftables.Set, w nftables.SetElement) Element {
	e := Element{Set: set.Name, Key: w.Key, Comment: w.Comment}
	if w.Counter != nil {
		e.Connections, e.Counted = w.Counter.Packets, true
	}
	switch {
	case set.IsMap && set.DataType.Name == nftables.TypeVerdict.Name:
		e.Chain = netlink.CString(netlink.Nested(w.Val, unix.NFTA_VERDICT_CHAIN))
	case set.IsMap:
		e.Value = w.Val
	}
	return e
}

// Delete removes those elements, by their keys, whose comment has the tag: an address or port that
// belongs to the next attachment survives a late DEL. Absent elements are success. With fewer than
// atLeast elements Delete changes nothing and returns ErrFewer. It returns what it deleted.
func (c *Conn) Delete(tag string, elements []Element, atLeast int) ([]Element, error) {
	unlock, err := flock.Netns()
	if err != nil {
		return nil, err
	}
	defer unlock.Close()
	for try := 1; ; try++ {
		gone, err := c.deleteOnce(tag, elements, atLeast, try < maxTries)
		if !errors.Is(err, unix.ERESTART) && !errors.Is(err, unix.ENOENT) || try >= maxTries {
			return gone, err
		}
	}
}

// deleteOnce commits only if nothing changed since it read the owners; unguarded, by our lock alone.
func (c *Conn) deleteOnce(tag string, elements []Element, atLeast int, guarded bool) ([]Element, error) {
	var generation uint32
	if guarded {
		gen, err := c.nl.GetGen()
		if err != nil {
			return nil, fmt.Errorf("rules: read generation: %w", err)
		}
		generation = gen.ID
	}
	elements = unique(elements)
	found, err := c.FindAll(elements)
	if err != nil {
		return nil, err
	}
	var del []Element
	for _, have := range found {
		if have != nil && sameOwner(have.Comment, tag) {
			del = append(del, *have)
		}
	}
	if len(del) < atLeast {
		return nil, ErrFewer
	}
	if err := c.queueDelete(del); err != nil {
		return nil, err
	}
	if err := c.nl.FlushWithGenID(generation); err != nil {
		return nil, fmt.Errorf("rules: delete: %w", err)
	}
	return del, nil
}

// unique leaves each key once.
func unique(elements []Element) []Element {
	seen := make(map[string]bool, len(elements))
	return slices.DeleteFunc(slices.Clone(elements), func(e Element) bool {
		again := seen[e.id()]
		seen[e.id()] = true
		return again
	})
}

// id is the element's place: no other element of our tables has it.
func (e Element) id() string { return e.Set + string(e.Key) }

// queueDelete queues the deletion of elements that were read. A bound port's own chain goes, too.
func (c *Conn) queueDelete(elements []Element) error {
	keys := make([]Element, len(elements))
	for i, e := range elements {
		keys[i] = Element{Set: e.Set, Key: e.Key}
	}
	if err := c.queueElements(keys, c.nl.SetDeleteElements); err != nil {
		return err
	}
	for _, e := range elements {
		if s := setOf(e.Set); s.Chains == BoundChains && strings.HasPrefix(e.Chain, BoundChains) {
			c.nl.DelChain(&nftables.Chain{Table: c.tables[s.Place.Family()], Name: e.Chain})
		}
	}
	return nil
}

// queueElements adds or deletes elements with as few messages as the library can.
func (c *Conn) queueElements(elements []Element, do func(*nftables.Set, []nftables.SetElement) error) error {
	bySet := make(map[string][]nftables.SetElement)
	for _, e := range elements {
		bySet[e.Set] = append(bySet[e.Set], e.wire())
	}
	for _, s := range sets {
		if list := bySet[s.Name]; len(list) > 0 {
			if err := do(c.sets[s.Name], list); err != nil {
				return fmt.Errorf("rules: elements of %s: %w", s.Name, err)
			}
		}
	}
	return nil
}
