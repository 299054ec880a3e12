package stage

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"

	"golang.org/x/net/ipv4"
	"golang.org/x/net/ipv6"
	"golang.org/x/sys/unix"
)

// Server answers everybody with the address that it sees them come from.
type Server struct {
	close func() error
	done  sync.WaitGroup
	asked atomic.Int64
}

// Asked is how many connections and datagrams have been answered.
func (v *Server) Asked() int { return int(v.asked.Load()) }

// Close stops the server and waits for its end.
func (v *Server) Close() error {
	err := v.close()
	v.done.Wait()
	return err
}

// Serve starts a server in the space. network is "tcp", "udp" or, where HasSCTP, "sctp",
// addr is like "0.0.0.0:80" (IPv4 only) or "[::]:80" (IPv6 only).
func (s *Space) Serve(network, addr string) (*Server, error) {
	network, err := withFamily(network, addr)
	if err != nil {
		return nil, s.errorf(err, "serve %s", addr)
	}
	server := &Server{}
	listen := net.ListenConfig{Control: reuseAddress}
	err = s.Do(func() error {
		if strings.HasPrefix(network, "udp") {
			conn, err := listen.ListenPacket(context.Background(), network, addr)
			if err == nil {
				err = server.startUDP(conn.(*net.UDPConn), network)
			}
			return err
		}
		var listener net.Listener
		var err error
		if strings.HasPrefix(network, "sctp") {
			listener, err = listenSCTP(addr)
		} else {
			listener, err = listen.Listen(context.Background(), network, addr)
		}
		if err == nil {
			server.startStream(listener)
		}
		return err
	})
	if err != nil {
		return nil, s.errorf(err, "serve %s %s", network, addr)
	}
	return server, nil
}

// Listen accepts connections in the space until the test ends, for the test to answer.
func Listen(s *Space, addr string) (listener net.Listener) {
	s.t.Helper()
	network, err := withFamily("tcp", addr)
	must(s.t, err)
	Inside(s, func() (err error) {
		listener, err = net.Listen(network, addr)
		return err
	})
	s.t.Cleanup(func() { _ = listener.Close() })
	return listener
}

// withFamily pins the family: for "tcp" and "0.0.0.0" package net would listen on
// IPv6 too, and a second server on "[::]" would find its port taken.
func withFamily(network, addr string) (string, error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return "", err
	}
	if network != "tcp" && network != "udp" && network != "sctp" {
		return "", fmt.Errorf("network %q is none of tcp, udp, sctp", network)
	}
	if ap.Addr().Is4() {
		return network + "4", nil
	}
	return network + "6", nil
}

func reuseAddress(_, _ string, raw syscall.RawConn) (err error) {
	cerr := raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	})
	if cerr != nil {
		return cerr
	}
	return err
}

func (v *Server) startStream(listener net.Listener) {
	v.close = listener.Close
	v.done.Go(func() {
		for {
			conn, err := listener.Accept()
			if err != nil {
				return
			}
			v.done.Go(func() {
				defer conn.Close()
				v.asked.Add(1)
				// A client that is gone already is not the server's trouble.
				_, _ = fmt.Fprintln(conn, conn.RemoteAddr())
			})
		}
	})
}

// startUDP answers from the address that the datagram was sent to: a host with
// several addresses would else answer from another one, and NAT could not match it.
func (v *Server) startUDP(conn *net.UDPConn, network string) error {
	v.close = conn.Close
	if network == "udp4" {
		p := ipv4.NewPacketConn(conn)
		if err := p.SetControlMessage(ipv4.FlagDst, true); err != nil {
			return err
		}
		v.done.Go(func() { v.answer4(p) })
		return nil
	}
	p := ipv6.NewPacketConn(conn)
	if err := p.SetControlMessage(ipv6.FlagDst, true); err != nil {
		return err
	}
	v.done.Go(func() { v.answer6(p) })
	return nil
}

func (v *Server) answer4(p *ipv4.PacketConn) {
	buf := make([]byte, 2048)
	for {
		_, cm, peer, err := p.ReadFrom(buf)
		if err != nil {
			return
		}
		v.asked.Add(1)
		reply := &ipv4.ControlMessage{}
		if cm != nil {
			reply.Src = cm.Dst
		}
		_, _ = p.WriteTo([]byte(peer.String()+"\n"), reply, peer) // as TCP: the client asks again
	}
}

func (v *Server) answer6(p *ipv6.PacketConn) {
	buf := make([]byte, 2048)
	for {
		_, cm, peer, err := p.ReadFrom(buf)
		if err != nil {
			return
		}
		v.asked.Add(1)
		reply := &ipv6.ControlMessage{}
		if cm != nil {
			reply.Src = cm.Dst
		}
		_, _ = p.WriteTo([]byte(peer.String()+"\n"), reply, peer)
	}
}
