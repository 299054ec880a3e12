package nft

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	library "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnsupported says that the kernel has no nf_tables.
var ErrUnsupported = errors.New("the kernel has no nf_tables")

// Unsupported says whether err comes of a kernel without nf_tables, or without its
// part for bridges (CONFIG_NF_TABLES_BRIDGE).
func Unsupported(err error) bool {
	return errors.Is(err, ErrUnsupported) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// Conn is one netlink socket to nf_tables in the network namespace of the thread
// that opened it. It needs CAP_NET_ADMIN there. It is for one goroutine.
type Conn struct {
	nl    *nftables.Conn
	raw   syscall.RawConn // the library's socket
	ask   *netlink.Conn   // the same, for questions
	table *nftables.Table // family inet
	link  *nftables.Table // family bridge
	order []*nftables.Set
	// The same by what they are made with.
	base, frames, traffic []*nftables.Set
	sets                  map[string]*nftables.Set
	// theirTables are the reference's that there are, once they were asked for.
	theirTables []*nftables.Table
	basesMade   int
}

// Open opens the socket. ErrUnsupported where the kernel lacks nf_tables.
func Open() (*Conn, error) {
	// Lasting: the library would otherwise close its socket after each change,
	// and each close after a deletion waits for an RCU grace period.
	conn := &Conn{sets: make(map[string]*nftables.Set)}
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(conn.tune))
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, ErrUnsupported
	}
	if err != nil {
		return nil, fmt.Errorf("rules: open netlink socket: %w", err)
	}
	t := &nftables.Table{Name: Table, Family: nftables.TableFamilyINet}
	link := &nftables.Table{Name: Table, Family: nftables.TableFamilyBridge}
	conn.nl, conn.table, conn.link = c, t, link
	conn.base, conn.frames, conn.traffic = baseSets(t), linkSets(link), trafficSets(t)
	conn.order = slices.Concat(conn.base, conn.frames, conn.traffic)
	for _, s := range conn.order {
		conn.sets[s.Name] = s
	}
	return conn, nil
}

// bufferSize bounds what the library sends in one piece: the largest change, 20,000 ports
// with two elements each, is about 8 MB. It is a limit, not an allocation.
const bufferSize = 32 << 20

// tune takes the socket's descriptor for questions, and makes the buffers large enough
// once: with options the library does not do it at each change.
func (c *Conn) tune(s *library.Conn) error {
	var err error
	if c.raw, err = s.SyscallConn(); err != nil {
		return err
	}
	if err := c.raw.Control(func(fd uintptr) { c.ask = netlink.Over(int(fd)) }); err != nil {
		return err
	}
	// Without CAP_NET_ADMIN over the machine the limit is the administrator's, which
	// is enough for all but very many ports.
	return errors.Join(s.SetReadBuffer(bufferSize), s.SetWriteBuffer(bufferSize))
}

// Add makes the change in one transaction: all of it or nothing. An element that
// is there already with the same owner's tag and value is success; one of another
// owner is a *HeldError, except in maps keyed by a container's own address, where
// the newest owner of the address is right and a dead one's entry is replaced.
func (c *Conn) Add(change Change) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	// The library has no way to drop what was queued, so nothing is queued before
	// everything is decided.
	steps, err := c.chainSteps(change)
	if err != nil {
		return err
	}
	del, add, err := c.elements(change)
	if err != nil {
		return err
	}
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	if err := c.queueDelete(del); err != nil {
		return err
	}
	if err := c.queueElements(add, c.nl.SetAddElements); err != nil {
		return err
	}
	if err := c.nl.Flush(); err != nil {
		return fmt.Errorf("rules: add: %w", err)
	}
	return nil
}

// BasesMade counts how often the table of family inet was not there and had to be made.
func (c *Conn) BasesMade() int { return c.basesMade }

// step queues a part of a transaction.
type step func() error

// chainSteps makes table and chains part of the transaction where they are missing.
// Looking first keeps the rules from being there twice, and an aborted transaction
// would cost an RCU wait.
func (c *Conn) chainSteps(change Change) ([]step, error) {
	type part struct {
		last   string // of the chains: they are made in one transaction
		table  *nftables.Table
		sets   []*nftables.Set
		chains func() []Chain // made only where they are missing
	}
	var parts []part
	for _, p := range []struct {
		wanted bool
		part
	}{
		{change.Base, part{lastBase, c.table, c.base, baseChains}},
		{change.Link, part{lastLink, c.link, c.frames, linkChains}},
		{change.Traffic, part{lastTraffic, c.table, c.traffic, TrafficChains}},
	} {
		if p.wanted {
			parts = append(parts, p.part)
		}
	}
	for _, ch := range change.Chains {
		parts = append(parts, part{last: ch.Name, table: c.tableOf(ch), chains: func() []Chain { return []Chain{ch} }})
	}
	last := make([]Chain, len(parts))
	for i, p := range parts {
		last[i] = Chain{Name: p.last, Link: p.table == c.link}
	}
	there, err := c.look(last...)
	if err != nil {
		return nil, err
	}
	var steps []step
	for i, p := range parts {
		switch {
		case there[i] != nil:
		case p.sets == nil:
			steps = append(steps, func() error { c.queueChain(p.chains()[0]); return nil })
		case p.table == c.link && change.LinkOptional:
			if err := c.tryTable(p.table, p.sets, p.chains()); err != nil {
				return nil, err
			}
		default:
			if p.last == lastBase {
				c.basesMade++
			}
			steps = append(steps, func() error { return c.queueTable(p.table, p.sets, p.chains()) })
		}
	}
	return steps, nil
}

// tryTable makes a table in a transaction of its own, where the kernel has its family.
func (c *Conn) tryTable(t *nftables.Table, sets []*nftables.Set, chains []Chain) error {
	if err := c.queueTable(t, sets, chains); err != nil {
		return err
	}
	if err := c.nl.Flush(); err != nil && !Unsupported(err) {
		return fmt.Errorf("rules: add table %s of family bridge: %w", t.Name, err)
	}
	return nil
}

func (c *Conn) queueTable(t *nftables.Table, sets []*nftables.Set, chains []Chain) error {
	c.nl.AddTable(t)
	for _, s := range sets {
		if err := c.nl.AddSet(s, nil); err != nil {
			return fmt.Errorf("rules: set %s: %w", s.Name, err)
		}
	}
	for _, ch := range chains {
		c.queueChain(ch)
	}
	return nil
}

func (c *Conn) queueChain(ch Chain) {
	k := &nftables.Chain{Table: c.tableOf(ch), Name: ch.Name}
	if ch.Hook != nil {
		k.Type, k.Hooknum, k.Priority = ch.Hook.kind, ch.Hook.hook, &ch.Hook.priority
	}
	c.nl.AddChain(k)
	c.queueRules(k, ch.Rules)
}

func (c *Conn) queueRules(k *nftables.Chain, list []Rule) {
	for _, r := range list {
		c.nl.AddRule(&nftables.Rule{
			Table: k.Table, Chain: k, Exprs: c.withSets(r.exprs),
			UserData: userdata.AppendString(nil, userdata.TypeComment, r.Comment),
		})
	}
}

func (c *Conn) tableOf(ch Chain) *nftables.Table {
	if ch.Link {
		return c.link
	}
	return c.table
}

// withSets gives look-ups the transaction's number of their set, which a set that
// is made in the same transaction is known by.
func (c *Conn) withSets(exprs []expr.Any) []expr.Any {
	for _, e := range exprs {
		switch e := e.(type) {
		case *expr.Lookup:
			e.SetID = c.sets[e.SetName].ID
		case *expr.Dynset:
			e.SetID = c.sets[e.SetName].ID
		}
	}
	return exprs
}
