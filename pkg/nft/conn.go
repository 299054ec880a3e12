// Package nft is what nft(8) would make: rules and elements as values, and the transactions
// that add and delete them. It has the table of all sets (Sets) and the language of rules
// (NewRule and the parts), and knows nothing of plans. Which rules there are says package
// ruleset. It is the only importer of google/nftables. Kernel: see pkg/kernel, with nf_tables.
//
//	c, err := nft.Open()
//	err = c.Add(nft.Change{Blocks: []nft.Block{ruleset.Base()}, Elements: list})
package nft

import (
	"errors"
	"fmt"
	"slices"
	"syscall"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	library "github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

// ErrUnsupported says that the kernel has no nf_tables.
var ErrUnsupported = errors.New("the kernel has no nf_tables: load the nf_tables modules")

// Unsupported: err is of a kernel without nf_tables, or its bridge part (CONFIG_NF_TABLES_BRIDGE).
func Unsupported(err error) bool {
	return errors.Is(err, ErrUnsupported) || errors.Is(err, unix.EAFNOSUPPORT) || errors.Is(err, unix.EOPNOTSUPP)
}

// Conn is one netlink socket to nf_tables in the network namespace of the thread
// that opened it. It needs CAP_NET_ADMIN there. It is for one goroutine.
type Conn struct {
	nl  *nftables.Conn
	raw syscall.RawConn // the library's socket
	ask *netlink.Conn   // the same, for questions
	// The tables and sets as the library knows them.
	tables map[Family]*nftables.Table
	sets   map[string]*nftables.Set
	// others are strangers' tables that Tables was asked for, and whether they exist.
	others    map[nftables.Table]bool
	basesMade int
	// Front are rules that stand before those of a chain, as often as the chain is written. They
	// are what this host needs: nobody compares them. Nil is none.
	Front func(Chain) []Rule
}

// Open opens the socket. ErrUnsupported where the kernel lacks nf_tables.
func Open() (*Conn, error) {
	// AsLasting: each close of a socket after a deletion waits for an RCU grace period.
	conn := &Conn{
		tables: map[Family]*nftables.Table{
			Inet:   {Name: Table, Family: nftables.TableFamilyINet},
			Bridge: {Name: Table, Family: nftables.TableFamilyBridge},
			Netdev: {Name: Table, Family: nftables.TableFamilyNetdev},
		},
		sets:   make(map[string]*nftables.Set),
		others: make(map[nftables.Table]bool),
	}
	c, err := nftables.New(nftables.AsLasting(), nftables.WithSockOptions(conn.tune))
	if errors.Is(err, unix.EPROTONOSUPPORT) {
		return nil, ErrUnsupported
	}
	if err != nil {
		return nil, fmt.Errorf("rules: open netlink socket: %w", err)
	}
	conn.nl = c
	for _, s := range sets {
		conn.sets[s.Name] = s.in(conn.tables[s.Place.Family()])
	}
	return conn, nil
}

// Socket is the socket, for questions to other parts of netfilter.
func (c *Conn) Socket() *netlink.Conn { return c.ask }

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

// Add makes the change in one transaction: all of it or nothing. An existing element with the same
// owner's tag and value is success. A port of another owner is a *HeldError. In other sets the
// newest owner of a key is right, and its element replaces the old one.
func (c *Conn) Add(change Change) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	// The library can't drop what is queued. So Add decides everything before it queues anything.
	steps, err := c.chainSteps(change)
	if err != nil {
		return err
	}
	del, add, err := c.elements(change)
	if err != nil {
		return err
	}
	steps = append(steps, func() error { return c.queueDelete(del) },
		func() error { return c.queueElements(add, c.nl.SetAddElements) })
	for _, step := range steps {
		if err := step(); err != nil {
			return err
		}
	}
	err = c.Flush("add")
	if errors.Is(err, unix.EEXIST) && slices.ContainsFunc(change.Chains, func(ch Chain) bool {
		return slices.ContainsFunc(ch.rules(), func(r Rule) bool { return len(r.names()) > 0 })
	}) {
		return fmt.Errorf("%w: a set whose name begins with %q exists with another type or other flags than dynamic and timeout: delete it, ADD makes it", err, NamesPrefix)
	}
	return err
}

// Flush commits what is queued. An error begins with the action; errors in fine are success.
func (c *Conn) Flush(action string, fine ...error) error {
	if err := netlink.Ignore(c.nl.Flush(), fine...); err != nil {
		return fmt.Errorf("rules: %s: %w", action, err)
	}
	return nil
}

// BasesMade counts how often the table of family inet was not there and had to be made.
func (c *Conn) BasesMade() int { return c.basesMade }

func (c *Conn) queueChain(ch Chain) error {
	k := &nftables.Chain{Table: c.tables[ch.family()], Name: ch.Name}
	if ch.Family == Netdev {
		c.nl.AddTable(k.Table)
	}
	if h := ch.Hook; h != nil {
		k.Type, k.Hooknum, k.Device = nftables.ChainType(h.Type), h.number(), h.Device
		k.Priority = nftables.ChainPriorityRef(nftables.ChainPriority(h.Priority))
	}
	c.nl.AddChain(k)
	return c.queueRules(k, ch)
}

func (c *Conn) queueRules(k *nftables.Chain, ch Chain) error {
	list := ch.rules()
	if c.Front != nil {
		list = slices.Concat(c.Front(ch), list)
	}
	for _, r := range list {
		exprs, err := c.withSets(k.Table, r.exprs)
		if err != nil {
			return err
		}
		c.nl.AddRule(&nftables.Rule{
			Table: k.Table, Chain: k, Exprs: exprs,
			UserData: userdata.AppendString(nil, userdata.TypeComment, r.Comment),
		})
	}
	return nil
}

// HasBridge says whether the kernel has nf_tables for bridges. To a reader a missing table looks like
// a missing family. So it makes a table in a transaction that fails for a chain in nobody's table.
func (c *Conn) HasBridge() (bool, error) { return c.hasFamily(nftables.TableFamilyBridge) }

func (c *Conn) hasFamily(family nftables.TableFamily) (bool, error) {
	c.nl.AddTable(&nftables.Table{Name: Table, Family: family})
	c.nl.AddChain(&nftables.Chain{Table: &nftables.Table{Name: Table + "-none", Family: family}, Name: "none"})
	switch err := c.nl.Flush(); {
	case err == nil || errors.Is(err, unix.ENOENT):
		return true, nil
	case Unsupported(err):
		return false, nil
	default:
		return false, fmt.Errorf("rules: ask for family bridge: %w", err)
	}
}

// Library is the library's connection, for package strangers.
func (c *Conn) Library() *nftables.Conn { return c.nl }

// Tables are those of the strangers' tables that exist. A Conn asks once, for all of them at once.
func (c *Conn) Tables(tables ...nftables.Table) (exist []*nftables.Table, err error) {
	if _, asked := c.others[tables[0]]; !asked {
		err = c.ask.AskAll(len(tables), func(i int) netlink.Netfilter {
			c.others[tables[i]] = false
			return TableQuestion(tables[i].Family, tables[i].Name)
		}, func(i int, _ []byte) error { c.others[tables[i]] = true; return nil })
	}
	for _, t := range tables {
		if c.others[t] {
			exist = append(exist, &t)
		}
	}
	return exist, err
}

// Close hands the socket to the kernel's garbage collector, so that nobody waits for its end. After a
// deletion of rules, by anybody, the close of such a socket waits 6 to 18 ms for an RCU grace period
// (nft_rcv_nl_event), in each process that closes one.
func (c *Conn) Close() error {
	queue, peer := c.bequeath()
	err := c.nl.CloseLasting()
	// In this order: the queue holds itself, and the close of its peer finds it unreachable.
	_, _ = unix.Close(queue), unix.Close(peer)
	return err
}

// bequeath sends the socket through a pair of Unix sockets, together with the end that the message
// waits in. When both ends are closed, nobody can read the message, and the kernel closes what is in
// it (net/unix/garbage.c): from Linux 6.9 on, and in later releases of 6.1 and 6.6, in a worker;
// before that within the close of peer, which then waits. After an error Close waits, too.
func (c *Conn) bequeath() (queue, peer int) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1
	}
	_ = c.raw.Control(func(fd uintptr) {
		_ = unix.Sendmsg(pair[1], []byte{0}, unix.UnixRights(int(fd), pair[0]), nil, 0)
	})
	return pair[0], pair[1]
}
