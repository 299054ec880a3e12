package kernel

import (
	"errors"
	"net"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// MACGuard drops frames that a container sends from another's MAC address. With no
// MAC its Add does nothing.
type MACGuard struct {
	Owner Owner
	MAC   net.HardwareAddr
}

func (g MACGuard) elements() []nft.Element {
	if len(g.MAC) == 0 {
		return nil
	}
	comment := g.Owner.Comment(nft.CommentLimit)
	return []nft.Element{
		nft.AllowedMAC(g.Owner.LinkName(), g.MAC, comment),
		nft.Holder("guarded", g.Owner.LinkName(), markComment(g.Owner, 1)),
	}
}

// Add puts the elements in place at once, before the link comes up.
func (g MACGuard) Add(h *Host) error {
	if len(g.MAC) == 0 {
		return nil
	}
	h.queue.Link = true
	h.queue.Elements = append(h.queue.Elements, g.elements()...)
	return h.Flush()
}

// Check looks for the elements and the rules.
func (g MACGuard) Check(h *Host) error {
	if len(g.MAC) == 0 {
		return nil
	}
	return errors.Join(
		checkElements(h, "macspoofchk", g.Owner, g.elements()),
		checkChains(h, nft.LinkChains()...))
}

// Del removes what belongs to the owner.
func (g MACGuard) Del(h *Host) error {
	_, err := deleteOwned(h, g.Owner, "guarded", []string{"macs"}, g.elements())
	return err
}

func (g MACGuard) String() string {
	if len(g.MAC) == 0 {
		return ""
	}
	return nft.LinkBase() + "\n" + elementsText(g.elements())
}
