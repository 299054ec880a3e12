package plan

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"golang.org/x/sys/unix"
)

// Session is the open sockets of one verb: to the host's network namespace, the container's, and
// nf_tables. It has the transaction that objects add their rules to. It is for one goroutine.
type Session struct {
	Host      *netlink.Conn // in the host's namespace
	Container *netlink.Conn // nil without a container's namespace
	Tx        Transaction   // changes of the rules
	ns        *netns.NS     // the caller's; nil without one
	rules     *nft.Conn     // opened when first needed
	Sysctls   netns.Sysctls // of the host's namespace
	// Indexes of links by name, as far as anybody asked: of the host and of the container.
	indexes, inner map[string]int
	// Legacy are the families of iptables-legacy with table nat in use; nil before anybody asked.
	Legacy []iptables.Family
	// deferred are the chains that a plan's Check compares in the end; nil outside of one.
	deferred []nft.Chain
}

// ErrConflict says that something which we must not touch has the name or address.
var ErrConflict = errors.New("conflict")

// Open opens the sockets. ns is the container's namespace, which stays the caller's. ns is
// nil where the namespace is gone; then objects inside it can't be touched. Open needs
// CAP_NET_ADMIN, and CAP_SYS_ADMIN to enter ns.
func Open(ns *netns.NS) (*Session, error) {
	host, err := netlink.Dial()
	if err != nil {
		return nil, err
	}
	s := &Session{Host: host, ns: ns, Sysctls: make(netns.Sysctls)}
	s.ForgetLinks()
	if ns == nil {
		return s, nil
	}
	err = ns.Do(func() error {
		s.Container, err = netlink.Dial()
		return err
	})
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// With runs fn with a Session of the namespace, and closes it. The precondition is Open's.
func With(ns *netns.NS, fn func(*Session) error) error {
	s, err := Open(ns)
	if err != nil {
		return err
	}
	return errors.Join(fn(s), s.Close())
}

// InContainer runs fn with a Session of the container that the request names.
func InContainer(req *cni.Request, fn func(*Session) error) error {
	ns, err := OpenNetns(req)
	if err != nil {
		return err
	}
	defer ns.Close()
	return With(ns, fn)
}

// OpenNetns opens the container's namespace. The host's own, with its own links, is CodeNetns.
func OpenNetns(req *cni.Request) (*netns.NS, error) {
	ns, err := netns.OpenOther(req.Netns, req.Override)
	if err != nil {
		return nil, cni.Errorf(cni.CodeNetns, "CNI_NETNS: %w", err)
	}
	return ns, nil
}

// Coded gives err the code CodeConflict, CodeTryLater, CodeDrift or CodeKernel, unless it carries a code. nil stays
// nil. What could not be asked is no difference: it may be as it should.
func Coded(err error) error {
	found, _ := split(err)
	switch {
	case errors.Is(err, ErrConflict):
		return cni.WithCode(cni.CodeConflict, err)
	case errors.Is(err, flock.ErrTimeout):
		return cni.WithCode(cni.CodeTryLater, err)
	case len(found) > 0:
		return cni.WithCode(cni.CodeDrift, err)
	case errors.Is(err, nft.ErrUnsupported):
		return cni.WithCode(cni.CodeNotReady, err)
	}
	return cni.WithCode(cni.CodeKernel, err)
}

// Close closes the sockets.
func (s *Session) Close() error {
	s.Sysctls.Close()
	errs := []error{s.Host.Close(), s.Container.Close()}
	if s.rules != nil {
		errs = append(errs, s.rules.Close())
	}
	return errors.Join(errs...)
}

// Rules is the connection to nf_tables of the host's namespace.
func (s *Session) Rules() (rules *nft.Conn, err error) {
	if s.rules == nil {
		if s.rules, err = nft.Open(); err == nil {
			s.rules.Front = func(c nft.Chain) []nft.Rule { return ruleset.Front(c, s.Opened) }
		}
	}
	return s.rules, err
}

// Flush sends all that objects have queued: links first, then the transaction of rules.
func (s *Session) Flush() error {
	if err := s.FlushLinks(); err != nil {
		return err
	}
	return s.Tx.commit(s)
}

// FlushLinks is Flush without the rules.
func (s *Session) FlushLinks() error {
	if err := s.Host.Flush(); err != nil || s.Container == nil {
		return err
	}
	return s.Container.Flush()
}

// drop forgets what is queued, after an error.
func (s *Session) drop() {
	s.Host.Drop()
	if s.Container != nil {
		s.Container.Drop()
	}
	s.Tx.change, s.Tx.soon = nft.Change{}, false
}

// HostIndex is the index of the host's link, or netlink.ErrNoLink. It asks the kernel once.
func (s *Session) HostIndex(name string) (int, error) {
	return index(s.Host, s.indexes, "link", name)
}

// ContainerIndex is the same of the container's link.
func (s *Session) ContainerIndex(name string) (int, error) {
	if s.Container == nil {
		return 0, fmt.Errorf("container link %s: %w", name, netns.ErrNotExist)
	}
	return index(s.Container, s.inner, "container link", name)
}

func index(c *netlink.Conn, known map[string]int, kind, name string) (int, error) {
	if i, ok := known[name]; ok {
		return i, nil
	}
	link, err := c.Link(name)
	if err != nil {
		return 0, fmt.Errorf("%s %s: %w", kind, name, err)
	}
	known[name] = link.Index
	return link.Index, nil
}

// HostLink reads the host's link called name, and keeps its index.
func (s *Session) HostLink(name string) (*netlink.Link, error) {
	link, err := s.Host.Link(name)
	if err == nil {
		s.indexes[name] = link.Index
	}
	return link, err
}

// Vanished says whether the host's link that HostIndex or HostLink has found does not exist any more.
func (s *Session) Vanished(name string) bool {
	known, was := s.indexes[name]
	if !was {
		return false
	}
	link, err := s.Host.Link(name)
	return errors.Is(err, netlink.ErrNoLink) || err == nil && link.Index != known
}

// NetnsFd is the descriptor of the container's namespace; -1 without one.
func (s *Session) NetnsFd() int {
	if s.ns == nil {
		return -1
	}
	return s.ns.Fd()
}

// ForgetLinks forgets the indexes, after a link was deleted.
func (s *Session) ForgetLinks() {
	s.indexes, s.inner = make(map[string]int), make(map[string]int)
}

// Inside runs fn with the thread in the container's namespace.
func (s *Session) Inside(fn func() error) error {
	if s.ns == nil {
		return fmt.Errorf("container: %w", netns.ErrNotExist)
	}
	return s.ns.Do(fn)
}

// Vacant says whether neither link of the attachment exists. It costs less than a useless veth.
func (s *Session) Vacant(o Owner) error {
	for _, look := range []struct {
		conn *netlink.Conn
		name string
		text string
	}{
		{s.Container, o.IfName, "CNI_IFNAME: %s exists already in the container: choose another name or DEL it first: %w"},
		{s.Host, o.LinkName(), "veth %s: this attachment exists already: DEL it first: %w"},
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

// Locked runs fn while no other process of ours changes shared objects. fn must not take the
// same lock, as changes of rules do. A program that fn executes holds the lock, too: if we
// are killed, the program may be in the middle of a change that no signal ends.
func Locked(fn func() error) error {
	lock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer lock.Close()
	if _, err := unix.FcntlInt(lock.Fd(), unix.F_SETFD, 0); err != nil {
		return fmt.Errorf("firewall: lock: hand on: %w", err)
	}
	return fn()
}
