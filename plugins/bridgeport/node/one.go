package node

import (
	"errors"
	"net/netip"
	"os"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/vishvananda/netlink"
)

// One is a look at a single attachment, with published ports as its only rules: it costs a tenth of Read on
// an idle node. container is an ID or the beginning of one. The look is nil where Read has to tell:
// libcni's cache has no such entry, several, or a broken one, the entry names no namespace, or
// the kernel has no link of the attachment's name.
func One(p Place, network, container string) (*Node, error) {
	if err := Privileged(); err != nil {
		return nil, err
	}
	n := &Node{Place: p, Kernel: kernel.Running()}
	var err error
	n.Cached, n.Broken, err = cached(p.Cache, p.Conf, network+"-"+container)
	if err != nil || len(n.Cached) != 1 || len(n.Broken) > 0 || n.Cached[0].Result == nil || n.Cached[0].NetNS == "" {
		return nil, err
	}
	c := &n.Cached[0]
	owner := plan.Owner{Network: c.NetworkName, ContainerID: c.ContainerID, IfName: c.IfName}
	if n.Links, err = linkAndMaster(owner.LinkName()); err != nil || n.Links == nil {
		return nil, err
	}
	if n.Rules, err = ports(owner.Tag()); err != nil {
		return nil, err
	}
	for _, ip := range c.Result.IPs {
		if err := n.addLease(owner, cni.Addr(ip.Address.IP)); err != nil {
			return nil, err
		}
	}
	return n, nil
}

// linkAndMaster are the link and, if it has one, its bridge; nil without such a link.
func linkAndMaster(name string) ([]Link, error) {
	var gone netlink.LinkNotFoundError
	l, err := netlink.LinkByName(name)
	if errors.As(err, &gone) {
		return nil, nil
	}
	if err != nil || l.Attrs().MasterIndex == 0 {
		return nil, err
	}
	master, err := netlink.LinkByIndex(l.Attrs().MasterIndex)
	if errors.As(err, &gone) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []Link{linkOf(l), linkOf(master)}, nil
}

// ports are the elements of published ports with the tag.
func ports(tag string) ([]nft.Element, error) {
	c, err := nft.Open()
	if err != nil {
		return nil, err
	}
	defer c.Close() // nothing was deleted
	list, err := c.Ports()
	return slices.DeleteFunc(list, func(e nft.Element) bool { return label.Tag(e.Comment) != tag }), err
}

// addLease adds the owner's lease of the address, where there is one.
func (n *Node) addLease(o plan.Owner, a netip.Addr) error {
	for _, dir := range n.DataDirs() {
		f, err := lease.FileOf(dir, o.Network, a)
		if errors.Is(err, os.ErrNotExist) || err == nil && f.Owner.ContainerID != o.ContainerID {
			continue
		}
		if err != nil {
			return err
		}
		n.Leases = append(n.Leases, Lease{File: f, Dir: dir, Network: o.Network})
	}
	return nil
}
