package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"golang.org/x/sys/unix"
)

// Netfilter is a request to a part of netfilter: struct nfgenmsg and attributes.
type Netfilter struct {
	Type    uint16 // NFNL_SUBSYS_* << 8 | the message's number
	Flags   uint16 // NLM_F_*, beside NLM_F_REQUEST
	Family  uint8  // NFPROTO_*
	Version uint8  // NFNETLINK_V0; 1 for a deletion of connections by family (ctnetlink_del_conntrack)
	Attrs   []byte // what AppendAttr makes
}

// nfgenmsg is the size of struct nfgenmsg.
const nfgenmsg = 4

// Append appends the request as the kernel wants it, with the number seq.
func (m Netfilter) Append(b []byte, seq uint32) []byte {
	b = binary.NativeEndian.AppendUint32(b, uint32(unix.SizeofNlMsghdr+nfgenmsg+len(m.Attrs)))
	b = binary.NativeEndian.AppendUint16(b, m.Type)
	b = binary.NativeEndian.AppendUint16(b, m.Flags|unix.NLM_F_REQUEST)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = binary.NativeEndian.AppendUint32(b, 0)
	b = append(b, m.Family, m.Version, 0, 0)
	return append(b, m.Attrs...)
}

// Window is how many questions AskAll sends at once. Each answer takes a page of the
// receive buffer (nft_get_set_elem), which holds 200 KB where nobody changed it.
const Window = 16

// AskAll asks netfilter n questions, a Window of them with each system call, and hands out
// each answer's attributes with the number of its question, 0 to n-1. An object that does not
// exist (ENOENT) has no attributes, and an acknowledgement has none. AskAll reads all answers,
// so that the next question on the socket gets its own.
func (c *Conn) AskAll(n int, question func(i int) Netfilter, take func(i int, attrs []byte) error) error {
	for from := 0; from < n; from += Window {
		if err := c.askWindow(from, min(from+Window, n), question, take); err != nil {
			return err
		}
	}
	return nil
}

func (c *Conn) askWindow(from, to int, question func(i int) Netfilter, take func(i int, attrs []byte) error) error {
	first := c.seq + 1
	var out []byte
	for i := from; i < to; i++ {
		c.seq++
		out = question(i).Append(out, c.seq)
	}
	if err := c.send(out); err != nil {
		return err
	}
	var errs []error
	for pending := to - from; pending > 0; {
		err := c.receive(func(h unix.NlMsghdr, data []byte) error {
			i := int(h.Seq - first)
			if i >= to-from {
				return nil
			}
			pending--
			attrs, err := answer(h, data)
			if attrs != nil {
				err = take(from+i, attrs)
			}
			if errors.Is(err, unix.EPERM) {
				pending = 0 // one refusal is for all that was sent (nfnetlink_rcv)
			}
			errs = append(errs, err)
			return nil
		})
		if err != nil {
			return errors.Join(append(errs, err)...)
		}
	}
	return errors.Join(errs...)
}

// answer is the attributes of an answer; nil where there is nothing.
func answer(h unix.NlMsghdr, data []byte) ([]byte, error) {
	if h.Type == unix.NLMSG_ERROR {
		if err := ackError(h, data); !errors.Is(err, unix.ENOENT) {
			return nil, err
		}
		return nil, nil
	}
	if len(data) < nfgenmsg {
		return nil, fmt.Errorf("netlink: answer of %d bytes", len(data))
	}
	return data[nfgenmsg:], nil
}

// DumpAll is Dump for a question of netfilter: it calls take with the attributes of each entry. An
// error of take does not end the reading.
func (c *Conn) DumpAll(question Netfilter, reset func(), take func(attrs []byte) error) error {
	question.Flags |= unix.NLM_F_DUMP
	return dump.Again(errInterrupted, func() error {
		reset()
		c.seq++
		var errs []error
		err := c.get(question.Append(nil, c.seq), true, nfgenmsg, func(data []byte) error {
			errs = append(errs, take(data[nfgenmsg:]))
			return nil
		})
		return errors.Join(append(errs, err)...)
	})
}
