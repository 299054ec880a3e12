package nft

import (
	"slices"
	"testing"

	"github.com/google/nftables"
)

// TestSets: what the blocks make is what the table of sets has, no more and no less, and
// the kernel keeps it as it was written.
func TestSets(t *testing.T) {
	withConn(t, func(c *Conn) {
		add(t, c, Change{Blocks: []Block{Base(), Frames(), Traffic(), Isolation(), Egress(), Neighbours()}})
		var have []string
		for _, family := range []Family{Inet, Bridge} {
			table := c.tables[family]
			list, err := c.nl.GetSets(table)
			if err != nil {
				t.Fatal(err)
			}
			for _, s := range list {
				have = append(have, s.Name)
				row := setOf(s.Name)
				if row.Class == 0 || c.tables[row.Place.Family()].Family != table.Family {
					t.Errorf("%s of family %d is not in the table of sets", s.Name, table.Family)
					continue
				}
				if s.KeyType.Name != row.Key || s.IsMap != (row.Value != "") || s.IsMap && s.DataType.Name != row.Value {
					t.Errorf("%s: has %s : %s, want %s : %s", s.Name, s.KeyType.Name, s.DataType.Name, row.Key, row.Value)
				}
			}
		}
		for _, s := range sets {
			if !slices.Contains(have, s.Name) {
				t.Errorf("%s: nothing makes it", s.Name)
			}
		}
	})
}

// TestRows: the columns of the table agree with each other.
func TestRows(t *testing.T) {
	for _, s := range sets {
		mark, gate := setOf(s.Mark), setOf(s.Gate)
		switch {
		case s.Class == 0, s.Key == "", s.Comment == "":
			t.Errorf("%s: has no class, key or comment", s.Name)
		case s.Mark != "" && mark.Class != ClassMark:
			t.Errorf("%s: %s does not count it", s.Name, s.Mark)
		case (s.Class == ClassPort) != (gate.Class == ClassGate), s.Gate != "" && gate.Key != s.Key:
			t.Errorf("%s: %q is no map of its gates", s.Name, s.Gate)
		case (s.Value == verdict) != (s.Chains != ""):
			t.Errorf("%s: leads to chains %q", s.Name, s.Chains)
		case s.Class == ClassMark && len(CountedBy(s.Name)) == 0:
			t.Errorf("%s: counts nothing", s.Name)
		}
		for _, d := range append(datatypes(s.Key), datatypes(s.Value)...) {
			if d == (nftables.SetDatatype{}) && s.Value != "" {
				t.Errorf("%s: has a field of an unknown type", s.Name)
			}
		}
	}
	if len(Marks()) != 5 {
		t.Errorf("got marks %q", Marks())
	}
}

// TestAddress: what the elements are keyed by.
func TestAddress(t *testing.T) {
	for _, class := range []Class{ClassMasquerade, ClassReply, ClassHidden, ClassLimited, ClassIsolated} {
		e := OfContainer(class, addr6, "c", "")
		if e.Address() != addr6 || e.Name() != e.Set+" { fd00::2 }" {
			t.Errorf("%s: got %s", e.Name(), e.Address())
		}
	}
	for _, e := range []Element{HostPort(noAddr, 6, 80, to4, ""), Service(addr4, ""), Loopback6("br0"), {Set: "flows4", Key: addr4.AsSlice()}} {
		if e.Address().IsValid() {
			t.Errorf("%s: is of container %s", e.Name(), e.Address())
		}
	}
}
