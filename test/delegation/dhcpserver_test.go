package delegation_test

import (
	"context"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"sync"
	"syscall"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// Message types (RFC 2132, section 9.6).
const (
	discover, offer, request, ack = 1, 2, 3, 5
)

// Options (RFC 2132).
const (
	optMask, optRouter, optDNS, optLease, optType, optServer, optClient, optEnd = 1, 3, 6, 51, 53, 54, 61, 255
)

const (
	dhcpHeader = 240 // up to the options, the magic number included (RFC 2131, section 2)
	leaseTime  = 3600
)

// dhcpServer is as little of a DHCP server (RFC 2131) as a client needs: each client
// has an address for good.
type dhcpServer struct {
	self  netip.Addr
	conn  net.PacketConn
	done  sync.WaitGroup
	mutex sync.Mutex
	mute  bool
	next  netip.Addr
	given map[string]netip.Addr // by client identifier
	heard []string
}

// serveDHCP answers at the link of the space until the spec ends.
func serveDHCP(s *Space, link string, self, first netip.Addr) *dhcpServer {
	GinkgoHelper()
	v := &dhcpServer{self: self, next: first, given: make(map[string]netip.Addr)}
	listen := net.ListenConfig{Control: func(_, _ string, raw syscall.RawConn) (err error) {
		cerr := raw.Control(func(fd uintptr) {
			if err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_BROADCAST, 1); err == nil {
				err = unix.BindToDevice(int(fd), link)
			}
		})
		if cerr != nil {
			return cerr
		}
		return err
	}}
	Expect(s.Do(func() (err error) {
		v.conn, err = listen.ListenPacket(context.Background(), "udp4", "0.0.0.0:67")
		return err
	})).To(Succeed())
	DeferCleanup(func() {
		_ = v.conn.Close() // ends the loop
		v.done.Wait()
	})
	v.done.Go(v.loop)
	return v
}

func (v *dhcpServer) loop() {
	buf := make([]byte, 1500)
	everybody := &net.UDPAddr{IP: net.IPv4bcast, Port: 68}
	for {
		n, _, err := v.conn.ReadFrom(buf)
		if err != nil {
			return
		}
		if reply := v.answer(buf[:n]); reply != nil {
			_, _ = v.conn.WriteTo(reply, everybody) // a client that hears nothing asks again
		}
	}
}

// answer is the reply to a message; nil for none.
func (v *dhcpServer) answer(m []byte) []byte {
	if len(m) < dhcpHeader || m[0] != 1 {
		return nil
	}
	options := parseOptions(m[dhcpHeader:])
	kind := options[optType]
	if len(kind) != 1 {
		return nil
	}
	v.mutex.Lock()
	defer v.mutex.Unlock()
	client := string(options[optClient])
	v.heard = append(v.heard, fmt.Sprintf("%d %s", kind[0], client))
	if v.mute {
		return nil
	}
	switch kind[0] {
	case discover:
		return v.reply(m, offer, v.address(client))
	case request:
		return v.reply(m, ack, v.address(client))
	}
	return nil
}

func (v *dhcpServer) address(client string) netip.Addr {
	if _, known := v.given[client]; !known {
		v.given[client] = v.next
		v.next = v.next.Next()
	}
	return v.given[client]
}

func (v *dhcpServer) reply(m []byte, kind byte, yours netip.Addr) []byte {
	r := slices.Clone(m[:dhcpHeader])
	r[0] = 2 // BOOTREPLY
	copy(r[16:], yours.AsSlice())
	copy(r[20:], v.self.AsSlice())
	option := func(code byte, value ...byte) { r = append(append(r, code, byte(len(value))), value...) }
	option(optType, kind)
	option(optServer, v.self.AsSlice()...)
	option(optLease, binary.BigEndian.AppendUint32(nil, leaseTime)...)
	option(optMask, 255, 255, 255, 0)
	option(optRouter, v.self.AsSlice()...)
	option(optDNS, 192, 0, 2, 53)
	return append(r, optEnd)
}

func parseOptions(b []byte) map[byte][]byte {
	options := make(map[byte][]byte)
	for len(b) > 1 && b[0] != optEnd {
		if b[0] == 0 { // padding
			b = b[1:]
			continue
		}
		n := int(b[1])
		if len(b) < 2+n {
			break
		}
		options[b[0]] = b[2 : 2+n]
		b = b[2+n:]
	}
	return options
}

// was says whether a message of the kind came from the client.
func (v *dhcpServer) was(kind int, client string) bool {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	return slices.Contains(v.heard, fmt.Sprintf("%d %s", kind, client))
}

// silence ends all answers.
func (v *dhcpServer) silence() {
	v.mutex.Lock()
	defer v.mutex.Unlock()
	v.mute = true
}
