// Package netlink is one kind of socket and one codec of attributes for everything that we
// ask of the kernel by netlink: links, addresses and routes (NETLINK_ROUTE), sockets
// (NETLINK_SOCK_DIAG), and the questions about rules and connections (NETLINK_NETFILTER).
// The messages of links, addresses and routes are those of vishvananda/netlink/nl.
//
//	c, err := netlink.Dial()
//	link, err := c.Link("cni0") // ErrNoLink without one
//
// A Conn is for one goroutine. Changing something needs CAP_NET_ADMIN in the socket's
// network namespace.
package netlink

import (
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/dump"
	"github.com/vishvananda/netlink/nl"
	"golang.org/x/sys/unix"
)

const (
	// AnswerBuffer holds one datagram: dumps come in skbs of at most 32 KiB (netlink_dump).
	AnswerBuffer = 32 << 10
	// shortestAnswer is struct rtmsg; other structs are shorter, but have attributes. A reader
	// of the longer struct ifinfomsg looks at the length.
	shortestAnswer = unix.SizeofRtMsg
	// answerTimeout bounds the wait for one answer. The kernel answers in
	// microseconds, unless rtnl_mutex is held by something that hangs.
	answerTimeout = 10 * time.Second
)

// Conn is a socket in one network namespace, with a queue of requests that go out in one
// send: vishvananda/netlink sends one request at a time, and each round trip counts in ADD.
type Conn struct {
	fd    int
	polls bool // the socket does not block
	seq   uint32
	queue []queued
	buf   []byte
}

type queued struct {
	data []byte
	seq  uint32
	what string // subject and action, for the error
}

// Dial opens a NETLINK_ROUTE socket in the calling thread's network namespace.
func Dial() (*Conn, error) { return DialProtocol(unix.NETLINK_ROUTE) }

// DialProtocol is Dial for another protocol (unix.NETLINK_*).
func DialProtocol(protocol int) (*Conn, error) {
	fd, err := unix.Socket(unix.AF_NETLINK, unix.SOCK_RAW|unix.SOCK_CLOEXEC, protocol)
	if err != nil {
		return nil, fmt.Errorf("netlink: open socket: %w", err)
	}
	// For better errors and dumps. Kernels before 4.12 and 4.20 work without them.
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_EXT_ACK, 1)
	_ = unix.SetsockoptInt(fd, unix.SOL_NETLINK, unix.NETLINK_GET_STRICT_CHK, 1)
	tv := unix.NsecToTimeval(int64(answerTimeout))
	if err := unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		_ = unix.Close(fd)
		return nil, fmt.Errorf("netlink: set timeout: %w", err)
	}
	return &Conn{fd: fd, buf: make([]byte, AnswerBuffer)}, nil
}

// Over is a Conn on a socket (O_NONBLOCK) that the caller closes: Close must not be called.
func Over(fd int) *Conn { return &Conn{fd: fd, polls: true, buf: make([]byte, AnswerBuffer)} }

// Close closes the socket; what is still queued is dropped.
func (c *Conn) Close() error {
	if c == nil {
		return nil
	}
	return unix.Close(c.fd)
}

// Queue adds a request to the next Flush. An error of the request begins with the text.
func (c *Conn) Queue(req *nl.NetlinkRequest, format string, args ...any) {
	c.seq++
	req.Seq = c.seq
	req.Flags |= unix.NLM_F_ACK
	c.queue = append(c.queue, queued{data: req.Serialize(), seq: c.seq, what: fmt.Sprintf(format, args...)})
}

// Flush sends what is queued and waits until the kernel has done all of it. The
// kernel does not stop at a failing request; the first error in order is returned.
func (c *Conn) Flush() error {
	if len(c.queue) == 0 {
		return nil
	}
	queue := c.queue
	c.queue = nil
	var out []byte
	for _, q := range queue {
		out = append(out, q.data...)
	}
	if err := c.send(out); err != nil {
		return fmt.Errorf("%s: %w", queue[0].what, err)
	}
	var first error
	for pending := len(queue); pending > 0; {
		err := c.receive(func(h unix.NlMsghdr, data []byte) error {
			i := slices.IndexFunc(queue, func(q queued) bool { return q.seq == h.Seq })
			if h.Type != unix.NLMSG_ERROR || i < 0 {
				return nil
			}
			pending--
			if err := ackError(h, data); err != nil && first == nil {
				first = fmt.Errorf("%s: %w", queue[i].what, err)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return first
}

// Get sends one request and hands its answer to fn, or with NLM_F_DUMP each entry of a list.
func (c *Conn) Get(req *nl.NetlinkRequest, fn func(data []byte) error) error {
	c.seq++
	req.Seq = c.seq
	return c.get(req.Serialize(), req.Flags&unix.NLM_F_DUMP == unix.NLM_F_DUMP, shortestAnswer, fn)
}

// get sends a request with the number c.seq. An answer has at least shortest bytes.
func (c *Conn) get(request []byte, dump bool, shortest int, fn func(data []byte) error) error {
	if err := c.send(request); err != nil {
		return err
	}
	r := reading{seq: c.seq, dump: dump, shortest: shortest, fn: fn}
	for !r.done {
		if err := c.receive(r.message); err != nil {
			return err
		}
	}
	if r.interrupted {
		return errInterrupted
	}
	return nil
}

// reading is what is known so far of an answer.
type reading struct {
	seq               uint32
	dump              bool
	shortest          int // bytes
	fn                func(data []byte) error
	done, interrupted bool
}

func (r *reading) message(h unix.NlMsghdr, data []byte) error {
	if h.Seq != r.seq {
		return nil
	}
	r.interrupted = r.interrupted || h.Flags&unix.NLM_F_DUMP_INTR != 0
	switch h.Type {
	case unix.NLMSG_ERROR, unix.NLMSG_DONE: // each begins with an errno, 0 or less
		r.done = true
		return ackError(h, data)
	}
	r.done = r.done || !r.dump
	if len(data) < r.shortest {
		return fmt.Errorf("netlink: answer of %d bytes", len(data))
	}
	return r.fn(data)
}

// errInterrupted says that a dump may lack entries, since something changed (NLM_F_DUMP_INTR).
var errInterrupted = errors.New("dump interrupted by a change")

// Dump is Get with NLM_F_DUMP, repeated while changes interrupt it; each try calls reset first.
func (c *Conn) Dump(req *nl.NetlinkRequest, reset func(), fn func(data []byte) error) error {
	req.Flags |= unix.NLM_F_DUMP
	return dump.Again(errInterrupted, func() error {
		reset()
		return c.Get(req, fn)
	})
}

func (c *Conn) send(data []byte) error {
	for {
		err := unix.Sendto(c.fd, data, 0, &unix.SockaddrNetlink{Family: unix.AF_NETLINK})
		if err == nil {
			return nil
		}
		if !errors.Is(err, unix.EINTR) {
			// Not wrapped: ENODEV or EEXIST mean something only as the kernel's answer.
			return fmt.Errorf("netlink: send: %s", err.Error())
		}
	}
}

// receive reads one datagram and hands out its messages.
func (c *Conn) receive(fn func(unix.NlMsghdr, []byte) error) error {
	n, err := c.read()
	if err != nil {
		return fmt.Errorf("netlink: receive: %w", err)
	}
	return eachMessage(c.buf[:n], fn)
}

// eachMessage hands out the messages of a datagram, and returns fn's first error.
func eachMessage(b []byte, fn func(unix.NlMsghdr, []byte) error) error {
	var first error
	for len(b) > 0 {
		if len(b) < unix.SizeofNlMsghdr {
			return fmt.Errorf("netlink: receive: %d bytes behind the last message", len(b))
		}
		h := unix.NlMsghdr{
			Len:   binary.NativeEndian.Uint32(b),
			Type:  binary.NativeEndian.Uint16(b[4:]),
			Flags: binary.NativeEndian.Uint16(b[6:]),
			Seq:   binary.NativeEndian.Uint32(b[8:]),
		}
		if h.Len < unix.SizeofNlMsghdr || int(h.Len) > len(b) {
			return fmt.Errorf("netlink: receive: message of %d bytes in %d", h.Len, len(b))
		}
		if err := fn(h, b[unix.SizeofNlMsghdr:h.Len]); err != nil && first == nil {
			first = err
		}
		b = b[min((int(h.Len)+3)&^3, len(b)):]
	}
	return first
}

func (c *Conn) read() (int, error) {
	for {
		// A signal of the Go scheduler interrupts a receive with a timeout,
		// and the kernel does not restart it (socket(7), SO_RCVTIMEO).
		n, _, err := unix.Recvfrom(c.fd, c.buf, 0)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.EAGAIN) {
			if c.polls && c.readable() {
				continue
			}
			return 0, fmt.Errorf("no answer from the kernel within %s: %w", answerTimeout, unix.ETIMEDOUT)
		}
		return n, err
	}
}

// readable waits for an answer. The kernel answers netfilter's questions before the send
// returns, so that there is hardly ever anything to wait for.
func (c *Conn) readable() bool {
	for end := time.Now().Add(answerTimeout); ; {
		left := max(time.Until(end).Milliseconds(), 0)
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(c.fd), Events: unix.POLLIN}}, int(left))
		if !errors.Is(err, unix.EINTR) {
			return n > 0
		}
	}
}

// kernelError is the kernel's refusal: the errno and any sentence (NLMSGERR_ATTR_MSG).
type kernelError struct {
	Errno unix.Errno
	Text  string
}

func (e *kernelError) Error() string {
	if e.Text == "" {
		return e.Errno.Error()
	}
	return fmt.Sprintf("%s (%s)", e.Errno.Error(), e.Text)
}

func (e *kernelError) Unwrap() error { return e.Errno }

// ackError reads struct nlmsgerr and its attributes; nil for an acknowledgement.
func ackError(h unix.NlMsghdr, data []byte) error {
	if len(data) < 4 {
		return fmt.Errorf("netlink: error message of %d bytes", len(data))
	}
	code := int32(binary.NativeEndian.Uint32(data))
	if code == 0 {
		return nil
	}
	e := &kernelError{Errno: unix.Errno(-code)}
	skip := 4 + unix.SizeofNlMsghdr
	if h.Flags&unix.NLM_F_ACK_TLVS == 0 || len(data) < skip {
		return e
	}
	if h.Flags&unix.NLM_F_CAPPED == 0 {
		// The request itself stands between header and attributes.
		skip = 4 + (int(binary.NativeEndian.Uint32(data[4:]))+3)&^3
	}
	if skip <= len(data) {
		e.Text = CString(Nested(data[skip:], unix.NLMSGERR_ATTR_MSG))
	}
	return e
}

// Drop forgets what is queued.
func (c *Conn) Drop() { c.queue = nil }
