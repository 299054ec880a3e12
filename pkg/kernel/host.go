package kernel

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"golang.org/x/sys/unix"
)

// Host is the open sockets of one verb: one in the host's network namespace, one
// in the container's, one to nf_tables. It is for one goroutine.
type Host struct {
	rt     *netlink.Conn
	cont   *netlink.Conn // nil without a container namespace
	ns     *netns.NS     // the caller's; nil without one
	rules  *nft.Conn     // opened when first needed
	queue  nft.Change
	index  map[string]int // of the host's links, once known
	shared nft.Change     // what was wanted so far of what attachments share
	loops  []string       // bridges through which [::1] was made to work
	dirs   sysctlDirs     // of the host's settings
	// later are the chains that a plan's Check compares in the end; nil outside of one.
	later []nft.Chain
	// legacy are the families whose legacy table nat is in use; nil before anybody asked.
	legacy []iptables.Family
}

// Open opens the sockets. ns is the container's namespace, which stays the
// caller's; nil where it is gone, and then objects inside it can't be touched. It
// needs CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter ns.
func Open(ns *netns.NS) (*Host, error) {
	rt, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	h := &Host{rt: rt, ns: ns, index: make(map[string]int), dirs: make(sysctlDirs)}
	if ns == nil {
		return h, nil
	}
	err = ns.Do(func() error {
		h.cont, err = netlink.Dial()
		return err
	})
	if err != nil {
		return nil, errors.Join(err, h.Close())
	}
	return h, nil
}

// Close closes the sockets.
func (h *Host) Close() error {
	h.dirs.close()
	errs := []error{h.rt.Close(), h.cont.Close()}
	if h.rules != nil {
		errs = append(errs, h.rules.Close())
	}
	return errors.Join(errs...)
}

// Flush sends everything that objects have queued: links first, rules last, as
// the plan has them.
func (h *Host) Flush() error {
	if err := h.rt.Flush(); err != nil {
		return err
	}
	if h.cont != nil {
		if err := h.cont.Flush(); err != nil {
			return err
		}
	}
	if h.queue.Empty() {
		return nil
	}
	change := h.queue
	h.queue = nft.Change{}
	rules, err := h.Rules()
	if err != nil {
		return err
	}
	before, made := h.shared.Base, rules.BasesMade()
	h.shared.Share(change)
	change.Gone = remembered(h.gone)
	err = rules.Add(change)
	for try := 0; errors.Is(err, unix.ENOENT) && try < 3; try++ {
		change.Share(h.shared)
		err = rules.Add(change)
	}
	if err == nil && before && rules.BasesMade() != made {
		// GC of another network took the empty table between two changes of ours, with
		// what we had put into it.
		err = errors.Join(rules.Add(h.shared), h.loopAgain())
	}
	var held *nft.HeldError
	if errors.As(err, &held) {
		return h.heldBy(held)
	}
	return err
}

// loopAgain makes [::1] work through the bridges as before.
func (h *Host) loopAgain() error {
	for _, bridge := range h.loops {
		if err := h.rules.Loop6(bridge, false); err != nil {
			return err
		}
	}
	return nil
}

// drop forgets what is queued, after an error.
func (h *Host) drop() {
	h.rt.Drop()
	h.queue = nft.Change{}
	if h.cont != nil {
		h.cont.Drop()
	}
}

// Rules is the connection to nf_tables of the host's namespace.
func (h *Host) Rules() (*nft.Conn, error) {
	if h.rules != nil {
		return h.rules, nil
	}
	c, err := nft.Open()
	if err != nil {
		return nil, err
	}
	h.rules = c
	return c, nil
}

// inside runs fn with the thread in the container's namespace.
func (h *Host) inside(fn func() error) error {
	if h.ns == nil {
		return fmt.Errorf("container: %w", netns.ErrNotExist)
	}
	return h.ns.Do(fn)
}

// Vacant says whether the attachment can be made: neither of its two links exists.
// Looking costs less than a veth that has to be taken back.
func (h *Host) Vacant(o Owner) error {
	for _, look := range []struct {
		conn *netlink.Conn
		name string
		text string
	}{
		{h.cont, o.IfName, "CNI_IFNAME: %s exists already in the container: choose another name or DEL it first: %w"},
		{h.rt, o.LinkName(), "veth %s: this attachment exists already: DEL it first: %w"},
	} {
		_, err := look.conn.Link(look.name)
		if err == nil {
			return fmt.Errorf(look.text, look.name, ErrConflict)
		}
		if !errors.Is(err, netlink.ErrNoLink) {
			return err
		}
	}
	return nil
}
