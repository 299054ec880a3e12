package stage

import (
	"errors"
	"fmt"
	"io"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"
	"time"
)

// maxAnswer is more than an address and a port need.
const maxAnswer = 256

// Ask connects to a server of Serve and returns its answer: the address that the
// server sees the space come from, "192.168.1.3:41234". network is "tcp", "udp" or "sctp".
func (s *Space) Ask(network, addr string, timeout time.Duration) (seenAs string, err error) {
	return s.AskFrom(network, "", addr, timeout)
}

// AskFrom is Ask from a local address, "192.0.2.1", "192.0.2.1:4000" or "" for any.
func (s *Space) AskFrom(network, local, addr string, timeout time.Duration) (string, error) {
	from, err := localAddr(network, local)
	if err != nil {
		return "", s.errorf(err, "ask %s %s", network, addr)
	}
	deadline := time.Now().Add(timeout)
	var conn net.Conn
	err = s.Do(func() (err error) {
		if network == "sctp" {
			conn, err = dialSCTP(from, addr, timeout)
			return err
		}
		dialer := net.Dialer{Timeout: timeout, Control: reuseAddress, LocalAddr: from}
		conn, err = dialer.Dial(network, addr)
		return err
	})
	if err != nil {
		return "", s.errorf(err, "ask %s %s", network, addr)
	}
	defer conn.Close()
	ask := readAll
	if network == "udp" {
		ask = converse
	}
	answer, err := ask(conn, deadline)
	return answer, s.errorf(err, "ask %s %s", network, addr)
}

// Seen asks a server from the space and wants it to see one of the addresses; without any
// it only wants an answer.
func (s *Space) Seen(network, addr, port string, as ...string) error {
	seen, err := s.Ask(network, net.JoinHostPort(addr, port), Patience)
	if err != nil || len(as) == 0 {
		return err
	}
	client, err := netip.ParseAddrPort(seen)
	if got := client.Addr().Unmap().String(); err == nil && !slices.Contains(as, got) {
		err = fmt.Errorf("seen as %s, want %v", got, as)
	}
	return s.errorf(err, "ask %s %s port %s", network, addr, port)
}

// readAll reads until the server closes. Who closes first holds the port for a
// minute (TIME_WAIT): that must be the server, or AskFrom with a port works only once.
func readAll(conn net.Conn, deadline time.Time) (string, error) {
	if err := conn.SetDeadline(deadline); err != nil {
		return "", err
	}
	answer, err := io.ReadAll(io.LimitReader(conn, maxAnswer))
	if err == nil && len(answer) == 0 {
		err = io.ErrUnexpectedEOF
	}
	return strings.TrimSpace(string(answer)), err
}

// converse sends a datagram until one comes back: any of them can get lost.
func converse(conn net.Conn, deadline time.Time) (string, error) {
	buf := make([]byte, maxAnswer)
	for {
		until := time.Now().Add(resend)
		if until.After(deadline) {
			until = deadline
		}
		if err := conn.SetDeadline(until); err != nil {
			return "", err
		}
		if _, err := conn.Write([]byte("who am I?\n")); err != nil {
			return "", err
		}
		n, err := conn.Read(buf)
		if err == nil {
			return strings.TrimSpace(string(buf[:n])), nil
		}
		if !errors.Is(err, os.ErrDeadlineExceeded) || !time.Now().Before(deadline) {
			return "", err
		}
	}
}

func localAddr(network, local string) (net.Addr, error) {
	if local == "" {
		return nil, nil
	}
	ap, err := netip.ParseAddrPort(local)
	if err != nil {
		ip, ierr := netip.ParseAddr(local)
		if ierr != nil {
			return nil, ierr
		}
		ap = netip.AddrPortFrom(ip, 0)
	}
	if network == "udp" {
		return net.UDPAddrFromAddrPort(ap), nil
	}
	return net.TCPAddrFromAddrPort(ap), nil
}
