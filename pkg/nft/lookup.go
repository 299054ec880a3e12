package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"syscall"

	"github.com/google/nftables"
	"github.com/google/nftables/userdata"
	"github.com/mdlayher/netlink"
	"golang.org/x/sys/unix"
)

const (
	// window is how many questions go out at once: each answer takes a page of the
	// receive buffer (nft_get_set_elem), which holds 200 KB where nobody changed it.
	window = 16
	// bufferSize bounds what the library sends in one piece: the largest change,
	// 20,000 ports with two elements each, is about 8 MB. A limit, no allocation.
	bufferSize = 32 << 20
	answerSize = 8 << 10
)

// tune keeps the socket's descriptor for FindAll, and makes the buffers large enough
// once: with options the library does not do it at each change.
func (c *Conn) tune(s *netlink.Conn) error {
	raw, err := s.SyscallConn()
	if err != nil {
		return err
	}
	c.raw = raw
	// Without CAP_NET_ADMIN over the machine the limit is the administrator's, which
	// is enough for all but very many ports.
	return errors.Join(s.SetReadBuffer(bufferSize), s.SetWriteBuffer(bufferSize))
}

// Find reads the element with e's key, without a dump. false where it, its map or
// the table does not exist.
func (c *Conn) Find(e Element) (Element, bool, error) {
	found, err := c.FindAll([]Element{e})
	if err != nil || found[0] == nil {
		return Element{}, false, err
	}
	return *found[0], true, nil
}

// FindAll reads the elements with the given keys, many with each system call; nil for
// those that do not exist. The library asks for one at a time and waits.
func (c *Conn) FindAll(elements []Element) ([]*Element, error) {
	found := make([]*Element, len(elements))
	answer := make([]byte, answerSize)
	for from := 0; from < len(elements); from += window {
		to := min(from+window, len(elements))
		var out []byte
		for i := from; i < to; i++ {
			out = c.appendQuestion(out, uint32(i+1), elements[i])
		}
		err := c.ask(out, to-from, answer, func(b []byte) error {
			seq, e, err := c.parseAnswer(b, elements)
			if err == nil {
				found[seq-1] = e
			}
			return err
		})
		if err != nil {
			return nil, fmt.Errorf("rules: read %s: %w", elements[from].Name(), err)
		}
	}
	return found, nil
}

// ask sends questions in one piece and takes n answers. All are taken, whatever is in
// them, so that none is there for the next question.
func (c *Conn) ask(questions []byte, n int, buf []byte, take func([]byte) error) error {
	if err := c.send(questions); err != nil {
		return err
	}
	var errs []error
	for range n {
		size, err := c.receive(buf)
		if err != nil {
			return err
		}
		errs = append(errs, take(buf[:size]))
	}
	return errors.Join(errs...)
}

func (c *Conn) send(data []byte) error {
	var err error
	werr := c.raw.Write(func(fd uintptr) bool {
		for {
			// The kernel takes the message within the call (netlink_unicast_kernel), so
			// that there is never room to wait for.
			err = unix.Sendto(int(fd), data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
			if !errors.Is(err, unix.EINTR) {
				return true
			}
		}
	})
	return errors.Join(err, werr)
}

// receive reads one answer. The kernel answers before the send returns.
func (c *Conn) receive(buf []byte) (n int, err error) {
	rerr := c.raw.Read(func(fd uintptr) bool {
		for {
			if n, _, err = unix.Recvfrom(int(fd), buf, 0); !errors.Is(err, unix.EINTR) {
				return !errors.Is(err, unix.EAGAIN)
			}
		}
	})
	return n, errors.Join(err, rerr)
}

// appendQuestion is NFT_MSG_GETSETELEM with one key.
func (c *Conn) appendQuestion(b []byte, seq uint32, e Element) []byte {
	set := c.sets[e.Set]
	value := appendAttr(nil, unix.NFTA_DATA_VALUE, e.Key)
	key := appendAttr(nil, unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_KEY, value)
	elem := appendAttr(nil, unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, key)
	attrs := appendName(nil, unix.NFTA_SET_ELEM_LIST_TABLE, set.Table.Name)
	attrs = appendName(attrs, unix.NFTA_SET_ELEM_LIST_SET, set.Name)
	attrs = appendAttr(attrs, unix.NLA_F_NESTED|unix.NFTA_SET_ELEM_LIST_ELEMENTS, elem)
	return appendMessage(b, unix.NFT_MSG_GETSETELEM, set.Table.Family, seq, attrs)
}

// appendMessage is a request to nf_tables.
func appendMessage(b []byte, kind uint16, family nftables.TableFamily, seq uint32, attrs []byte) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(messageHead+len(attrs)))
	b = binary.NativeEndian.AppendUint16(b, unix.NFNL_SUBSYS_NFTABLES<<8|kind)
	b = binary.NativeEndian.AppendUint16(b, unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, byte(family), unix.NFNETLINK_V0, 0, 0)
	return append(b, attrs...)
}

func appendAttr(b []byte, kind uint16, data []byte) []byte {
	b = binary.NativeEndian.AppendUint16(b, uint16(unix.SizeofNlAttr+len(data)))
	b = append(binary.NativeEndian.AppendUint16(b, kind), data...)
	for len(b)%unix.NLA_ALIGNTO != 0 {
		b = append(b, 0)
	}
	return b
}

// attrs hands out the attributes of a message or of a nested attribute.
func attrs(b []byte, fn func(kind uint16, data []byte)) {
	for len(b) >= unix.SizeofNlAttr {
		n := int(binary.NativeEndian.Uint16(b))
		if n < unix.SizeofNlAttr || n > len(b) {
			return
		}
		fn(binary.NativeEndian.Uint16(b[2:])&^(unix.NLA_F_NESTED|unix.NLA_F_NET_BYTEORDER), b[unix.SizeofNlAttr:n])
		b = b[min((n+3)&^3, len(b)):]
	}
}

// nested is the content of the first attribute of a kind; nil without one.
func nested(b []byte, kind uint16) (found []byte) {
	attrs(b, func(k uint16, data []byte) {
		if k == kind && found == nil {
			found = data
		}
	})
	return found
}

var errAnswer = errors.New("netlink: answer of unknown form")

// messageHead is struct nlmsghdr and struct nfgenmsg.
const messageHead = unix.SizeofNlMsghdr + 4

// parseHead is the number of the question, and whether there is what was asked for.
func parseHead(b []byte, asked int) (seq int, found bool, err error) {
	if len(b) < messageHead || int(binary.NativeEndian.Uint32(b)) > len(b) {
		return 0, false, errAnswer
	}
	seq = int(binary.NativeEndian.Uint32(b[8:]))
	if seq < 1 || seq > asked {
		return 0, false, errAnswer
	}
	if binary.NativeEndian.Uint16(b[4:]) != unix.NLMSG_ERROR {
		return seq, true, nil
	}
	errno := errnoIn(b)
	if errno == unix.ENOENT {
		return seq, false, nil
	}
	return seq, false, errno
}

// errnoIn is what an NLMSG_ERROR or NLMSG_DONE of at least messageHead bytes says; 0 for
// success.
func errnoIn(b []byte) syscall.Errno {
	return syscall.Errno(-int32(binary.NativeEndian.Uint32(b[unix.SizeofNlMsghdr:])))
}

// parseAnswer is the number of the question and the element; nil if there is none.
func (c *Conn) parseAnswer(b []byte, asked []Element) (int, *Element, error) {
	seq, found, err := parseHead(b, len(asked))
	if err != nil || !found {
		return seq, nil, err
	}
	list := nested(b[messageHead:binary.NativeEndian.Uint32(b)], unix.NFTA_SET_ELEM_LIST_ELEMENTS)
	item := nested(list, unix.NFTA_LIST_ELEM)
	if item == nil {
		return 0, nil, errAnswer
	}
	e := c.parseElement(c.sets[asked[seq-1].Set], item)
	return seq, &e, nil
}

// parseElement reads one element of a set. Its bytes are copied.
func (c *Conn) parseElement(set *nftables.Set, item []byte) Element {
	w := nftables.SetElement{}
	var packets uint64
	counted := false
	attrs(item, func(kind uint16, data []byte) {
		switch kind {
		case unix.NFTA_SET_ELEM_KEY:
			w.Key = append([]byte(nil), nested(data, unix.NFTA_DATA_VALUE)...)
		case unix.NFTA_SET_ELEM_DATA:
			value := nested(data, unix.NFTA_DATA_VALUE)
			if value == nil {
				value = nested(data, unix.NFTA_DATA_VERDICT)
			}
			w.Val = append([]byte(nil), value...)
		case unix.NFTA_SET_ELEM_USERDATA:
			w.Comment = commentIn(data, userdata.NFTNL_UDATA_SET_ELEM_COMMENT)
		case unix.NFTA_SET_ELEM_EXPR:
			if cString(nested(data, unix.NFTA_EXPR_NAME)) == "counter" {
				if n := nested(nested(data, unix.NFTA_EXPR_DATA), unix.NFTA_COUNTER_PACKETS); len(n) == 8 {
					packets, counted = binary.BigEndian.Uint64(n), true
				}
			}
		}
	})
	e := fromWire(set, w)
	e.Connections, e.Counted = packets, counted
	return e
}
