package nft

import (
	"testing"

	"github.com/google/nftables"
)

// TestHasFamily: a family that nf_tables does not know tells how the kernel answers where
// it was built without that for bridges. Nothing is left of the question.
func TestHasFamily(t *testing.T) {
	const unknown = nftables.TableFamily(12) // NFPROTO_DECNET, whose protocol is gone
	withConn(t, func(c *Conn) {
		for family, want := range map[nftables.TableFamily]bool{nftables.TableFamilyBridge: true, unknown: false} {
			if has, err := c.hasFamily(family); has != want || err != nil {
				t.Errorf("family %d: %t, %v; want %t", family, has, err, want)
			}
		}
		if tables, err := c.nl.ListTables(); err != nil || len(tables) > 0 {
			t.Errorf("left behind: %v, %v", tables, err)
		}
	})
}
