package features_test

import (
	"encoding/binary"
	"fmt"
	"net"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

const (
	local    = 0x88b5 // the EtherType for experiments (IEEE 802, clause 9.2)
	dot1q    = 0x8100
	untagged = 0
)

var everybody = net.HardwareAddr{0xff, 0xff, 0xff, 0xff, 0xff, 0xff}

// say sends a frame that carries a word. tag is its VLAN.
func say(s *Space, link string, from, to net.HardwareAddr, tag uint16, word string) {
	GinkgoHelper()
	frame := append(append([]byte{}, to...), from...)
	if tag != untagged {
		frame = binary.BigEndian.AppendUint16(frame, dot1q)
		frame = binary.BigEndian.AppendUint16(frame, tag)
	}
	frame = binary.BigEndian.AppendUint16(frame, local)
	frame = append(frame, word...)
	frame = append(frame, make([]byte, max(0, 60-len(frame)))...)
	fd := PacketSocket(s, link)
	Expect(unix.Send(fd, frame, 0)).To(Succeed())
}

// ear hears what arrives at a link.
type ear struct{ fd int }

func listen(s *Space, link string) ear {
	GinkgoHelper()
	return ear{PacketSocket(s, link)}
}

// until hears words until the last one, which must come, and returns all of them; a
// tagged one as "100:word". Since a bridge keeps the order of one sender's frames, what
// was said before and is not among them never comes.
func (e ear) until(last string) (words []string) {
	GinkgoHelper()
	for end := time.Now().Add(Patience); time.Now().Before(end); {
		word, ok := e.next()
		if !ok {
			continue
		}
		words = append(words, word)
		if word == last {
			return words
		}
	}
	Fail(fmt.Sprintf("%q never came, but %q", last, words))
	return nil
}

// next is the next word; false where there was none, or a frame of somebody else.
func (e ear) next() (string, bool) {
	buf, oob := make([]byte, 2048), make([]byte, 256)
	n, oobn, _, from, err := unix.Recvmsg(e.fd, buf, oob, 0)
	link, isLink := from.(*unix.SockaddrLinklayer)
	if err != nil || !isLink || link.Pkttype == unix.PACKET_OUTGOING || n < 14 || binary.BigEndian.Uint16(buf[12:]) != local {
		return "", false
	}
	word := string(cut(buf[14:n]))
	if tag := tagOf(oob[:oobn]); tag != untagged {
		word = fmt.Sprintf("%d:%s", tag, word)
	}
	return word, true
}

// cut ends a word at its first zero byte.
func cut(b []byte) []byte {
	for i, c := range b {
		if c == 0 {
			return b[:i]
		}
	}
	return b
}

// tagOf reads struct tpacket_auxdata (linux/if_packet.h).
func tagOf(oob []byte) uint16 {
	messages, err := unix.ParseSocketControlMessage(oob)
	if err != nil {
		return untagged
	}
	for _, m := range messages {
		if m.Header.Level == unix.SOL_PACKET && m.Header.Type == unix.PACKET_AUXDATA && len(m.Data) >= 20 &&
			binary.NativeEndian.Uint32(m.Data)&unix.TP_STATUS_VLAN_VALID != 0 {
			return binary.NativeEndian.Uint16(m.Data[16:]) & 0xfff
		}
	}
	return untagged
}
