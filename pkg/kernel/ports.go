package kernel

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// Port is one published port, with everything parsed and valid.
type Port struct {
	HostIP    netip.Addr // invalid or unspecified: every address of the host
	Protocol  uint8      // IP protocol number
	HostPort  uint16
	Container netip.AddrPort
}

// Ports forwards ports of the host to the container. With none its Add does
// nothing, and its Del finds them by the owner.
type Ports struct {
	Owner Owner
	Ports []Port
	// Subnets are the container's own: clients in them, and the host by its
	// loopback address, are masqueraded. Empty with "snat": false.
	Subnets []netip.Prefix
	MasqAll bool // masquerade every client
}

func (p Ports) chain() nft.Chain {
	return nft.ReplyChain(p.Owner.Network, p.Subnets, p.MasqAll)
}

func (p Ports) snat() bool { return p.MasqAll || len(p.Subnets) > 0 }

func (p Ports) elements() []nft.Element {
	if len(p.Ports) == 0 {
		return nil
	}
	comment := p.Owner.Comment(nft.CommentLimit)
	var elements []nft.Element
	seen := make(map[netip.Addr]bool)
	for _, port := range p.Ports {
		elements = append(elements, nft.HostPort(port.HostIP, port.Protocol, port.HostPort, port.Container, comment))
		if to := port.Container.Addr(); p.snat() && !seen[to] {
			seen[to] = true
			elements = append(elements, nft.ReplyPath(to, p.chain().Name, comment))
		}
	}
	return append(elements, nft.Holder("published", p.Owner.LinkName(), markComment(p.Owner, len(elements))))
}

// Add queues the elements. A port that another attachment holds is ErrConflict.
func (p Ports) Add(h *Host) error {
	if len(p.Ports) == 0 {
		return nil
	}
	h.queue.Base = true
	if p.snat() {
		h.queue.Chains = append(h.queue.Chains, p.chain())
	}
	h.queue.Elements = append(h.queue.Elements, p.elements()...)
	return nil
}

// Check looks for each element and for the rules it points to.
func (p Ports) Check(h *Host) error {
	if len(p.Ports) == 0 {
		return nil
	}
	var chains []nft.Chain
	if p.snat() {
		chains = append(chains, p.chain())
	}
	return errors.Join(
		checkElements(h, "published port", p.Owner, p.elements()),
		checkChains(h, chains...))
}

// portMaps are the maps that hold published ports.
func portMaps() []string {
	return []string{"hostport4", "anyport4", "hostport6", "anyport6", "snat4", "snat6"}
}

// Del removes what belongs to the owner, and then the connections that were led to
// the container.
func (p Ports) Del(h *Host) error {
	gone, err := deleteOwned(h, p.Owner, "published", portMaps(), p.elements())
	return errors.Join(err, forgetForwarded(gone))
}

func (p Ports) String() string {
	if len(p.Ports) == 0 {
		return ""
	}
	var b strings.Builder
	if p.snat() {
		fmt.Fprintln(&b, p.chain())
	}
	return b.String() + elementsText(p.elements())
}
