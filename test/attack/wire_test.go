package attack_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// tap is a packet socket: whole frames of a link, in and out.
type tap struct{ fd int }

func newTap(s *Space, link string) tap {
	GinkgoHelper()
	return tap{PacketSocket(s, link)}
}

// send sends a frame, padded to what Ethernet wants.
func (t tap) send(frame []byte) {
	GinkgoHelper()
	frame = append(bytes.Clone(frame), make([]byte, max(0, 60-len(frame)))...)
	Expect(unix.Send(t.fd, frame, 0)).To(Succeed())
}

// next is the next frame that came in; nil where there is none in 20 ms.
func (t tap) next() []byte {
	buf := make([]byte, 4096)
	n, from, err := unix.Recvfrom(t.fd, buf, 0)
	link, isLink := from.(*unix.SockaddrLinklayer)
	if err != nil || !isLink || link.Pkttype == unix.PACKET_OUTGOING {
		return nil
	}
	return buf[:n]
}

// hears says whether a frame with all the bytes comes within a time.
func (t tap) hears(wait time.Duration, parts ...[]byte) bool {
	for end := time.Now().Add(wait); time.Now().Before(end); {
		if frame := t.next(); frame != nil && holds(frame, parts) {
			return true
		}
	}
	return false
}

func holds(frame []byte, parts [][]byte) bool {
	for _, p := range parts {
		if !bytes.Contains(frame, p) {
			return false
		}
	}
	return true
}

var marks int

// mark is a text that no other frame of the run holds.
func mark() []byte {
	marks++
	return fmt.Appendf(nil, "<attack %d>", marks)
}

// marked puts a mark behind the frame, where no protocol looks: after the frame's own
// end and what pads it.
func marked(frame []byte) (with, by []byte) {
	by = mark()
	return join(frame, make([]byte, max(0, 60-len(frame))), by), by
}

// arrives sends a frame from one container to a link of another space and says whether
// it gets there. A frame that the attacker may send, after it, tells when to stop
// waiting: a bridge keeps the order of one port's frames.
func arrives(from *Victim, frame []byte, to *Space, link string) bool {
	GinkgoHelper()
	ear, mouth := newTap(to, link), newTap(from.Space, "eth0")
	frame, by := marked(frame)
	end, endBy := marked(ipFrame(MAC(to, link), from.mac, datagram(from.at(9), netip.MustParseAddrPort("10.60.0.254:9"), nil)))
	for end0 := time.Now().Add(Patience); time.Now().Before(end0); {
		mouth.send(frame)
		mouth.send(end)
		for until := time.Now().Add(100 * time.Millisecond); time.Now().Before(until); {
			switch got := ear.next(); {
			case bytes.Contains(got, by):
				return true
			case bytes.Contains(got, endBy):
				return false
			}
		}
	}
	Fail("not even what the attacker may send gets there")
	return false
}

// sendRaw sends a frame by a socket of the calling thread's namespace.
func sendRaw(index int, frame []byte) error {
	fd, err := unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return err
	}
	defer unix.Close(fd)
	return unix.Sendto(fd, frame, 0, &unix.SockaddrLinklayer{Ifindex: index})
}
