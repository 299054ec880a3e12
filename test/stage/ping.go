package stage

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"os"
	"sync/atomic"
	"time"

	"golang.org/x/net/icmp"
	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
)

// resend is how long an answer may take before the question is put again.
const resend = 200 * time.Millisecond

// echo is what differs between ICMP and ICMPv6.
type echo struct {
	network, any    string
	ask, reply      icmp.Type
	protocol        int
	ident, sequence int
}

// pings numbers the echo requests of this process, so that answers to two
// concurrent pings are never mixed up.
var pings atomic.Uint32

// Ping sends ICMP or ICMPv6 echo requests to dst until one is answered, and tells
// the round-trip time of that one.
func (s *Space) Ping(dst string, timeout time.Duration) (time.Duration, error) {
	ip, err := netip.ParseAddr(dst)
	if err != nil {
		return 0, s.errorf(err, "ping %s", dst)
	}
	e := echo{network: "ip4:icmp", any: "0.0.0.0", ask: ipv4.ICMPTypeEcho, reply: ipv4.ICMPTypeEchoReply, protocol: 1}
	if ip.Is6() {
		e = echo{network: "ip6:ipv6-icmp", any: "::", ask: ipv6.ICMPTypeEchoRequest, reply: ipv6.ICMPTypeEchoReply, protocol: 58}
	}
	e.ident = int(pings.Add(1) & 0xffff)
	var conn net.PacketConn
	err = s.Do(func() (err error) {
		conn, err = net.ListenPacket(e.network, e.any)
		return err
	})
	if err != nil {
		return 0, s.errorf(err, "ping %s", dst)
	}
	defer conn.Close()
	rtt, err := e.exchange(conn, ip, time.Now().Add(timeout))
	return rtt, s.errorf(err, "ping %s", dst)
}

func (e echo) exchange(conn net.PacketConn, ip netip.Addr, deadline time.Time) (time.Duration, error) {
	dst := &net.IPAddr{IP: ip.AsSlice(), Zone: ip.Zone()}
	for start := time.Now(); time.Now().Before(deadline); e.sequence++ {
		sent := time.Now()
		msg := icmp.Message{Type: e.ask, Body: &icmp.Echo{ID: e.ident, Seq: e.sequence, Data: []byte("bridgeport")}}
		packet, err := msg.Marshal(nil) // the kernel fills in the ICMPv6 checksum
		if err != nil {
			return 0, err
		}
		if _, err := conn.WriteTo(packet, dst); err != nil {
			return 0, fmt.Errorf("after %v: %w", time.Since(start).Round(time.Millisecond), err)
		}
		until := sent.Add(resend)
		if until.After(deadline) {
			until = deadline
		}
		err = e.await(conn, ip, until)
		if err == nil {
			return time.Since(sent), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) {
			return 0, err
		}
	}
	return 0, errors.New("no answer")
}

// await reads until the answer to this very request comes. A raw socket hears
// every ICMP packet of its namespace, its own requests included.
func (e echo) await(conn net.PacketConn, from netip.Addr, until time.Time) error {
	if err := conn.SetReadDeadline(until); err != nil {
		return err
	}
	buf := make([]byte, 1500)
	for {
		n, peer, err := conn.ReadFrom(buf)
		if err != nil {
			return err
		}
		msg, err := icmp.ParseMessage(e.protocol, buf[:n])
		if err != nil || msg.Type != e.reply {
			continue
		}
		body, ok := msg.Body.(*icmp.Echo)
		addr, isIP := peer.(*net.IPAddr)
		if ok && isIP && body.ID == e.ident && body.Seq == e.sequence && addr.IP.Equal(from.AsSlice()) {
			return nil
		}
	}
}
