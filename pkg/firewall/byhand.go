package firewall

import (
	"errors"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// Withdraw removes ports of the owner that were added by hand, and the tracked connections to them.
// Others of its elements stay.
func Withdraw(s *plan.Session, owner plan.Owner, ports []nft.Element) error {
	rules, err := s.Rules()
	if err != nil {
		return netlink.Ignore(err, nft.ErrUnsupported)
	}
	remove := slices.Clone(ports)
	for _, e := range ports {
		if _, _, to, ok := e.Forward(); ok {
			gate, _ := nft.AtGate(e, "")
			remove = append(remove, gate, nft.OfContainer(nft.ClassReply, to.Addr(), "", ""))
		}
	}
	found, err := rules.FindAll(ports)
	if err == nil {
		err = HandOver(s, owner.Tag(), present(found))
	}
	if err != nil {
		return err
	}
	mark := nft.Holder(nft.MarkPublished, owner.LinkName(), markComment(owner, 0))
	err = rules.Add(nft.Change{Mark: &mark, Remove: slices.DeleteFunc(remove, func(e nft.Element) bool { return e.Class() == nft.ClassMark })})
	return errors.Join(err, forgetForwarded(s, ports))
}
