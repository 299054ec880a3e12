package stage

import (
	"errors"
	"net"
	"net/netip"
	"os"
	"time"

	"golang.org/x/sys/unix"
)

// HasSCTP tells whether the kernel has SCTP sockets.
func HasSCTP() bool {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, unix.IPPROTO_SCTP)
	if err == nil {
		err = unix.Close(fd)
	}
	return err == nil
}

// sctpSocket makes a socket of the one-to-one style (RFC 6458, section 4), which is
// used as one of TCP is; package net takes it for such.
func sctpSocket(addr netip.Addr) (fd int, err error) {
	family := unix.AF_INET
	if addr.Is6() {
		family = unix.AF_INET6
	}
	fd, err = unix.Socket(family, unix.SOCK_STREAM|unix.SOCK_CLOEXEC|unix.SOCK_NONBLOCK, unix.IPPROTO_SCTP)
	if err != nil {
		return -1, os.NewSyscallError("socket", err)
	}
	err = unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1)
	if err == nil && addr.Is6() {
		err = unix.SetsockoptInt(fd, unix.IPPROTO_IPV6, unix.IPV6_V6ONLY, 1)
	}
	if err != nil {
		return -1, errors.Join(os.NewSyscallError("setsockopt", err), unix.Close(fd))
	}
	return fd, nil
}

func sockaddr(ap netip.AddrPort) unix.Sockaddr {
	if ap.Addr().Is4() {
		return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}
	}
	return &unix.SockaddrInet6{Port: int(ap.Port()), Addr: ap.Addr().As16()}
}

// withSCTP makes a socket for an address, "192.0.2.1:80", and lets package net have a
// copy of it after do has.
func withSCTP[T any](addr string, do func(fd int, ap netip.AddrPort) error, copied func(*os.File) (T, error)) (none T, err error) {
	ap, err := netip.ParseAddrPort(addr)
	if err != nil {
		return none, err
	}
	fd, err := sctpSocket(ap.Addr())
	if err != nil {
		return none, err
	}
	file := os.NewFile(uintptr(fd), "sctp")
	defer file.Close()
	if err := do(fd, ap); err != nil {
		return none, err
	}
	return copied(file)
}

// listenSCTP listens in the thread's namespace.
func listenSCTP(addr string) (net.Listener, error) {
	return withSCTP(addr, func(fd int, ap netip.AddrPort) error {
		if err := unix.Bind(fd, sockaddr(ap)); err != nil {
			return os.NewSyscallError("bind", err)
		}
		return os.NewSyscallError("listen", unix.Listen(fd, unix.SOMAXCONN))
	}, net.FileListener)
}

// dialSCTP connects from the thread's namespace.
func dialSCTP(local net.Addr, addr string, timeout time.Duration) (net.Conn, error) {
	return withSCTP(addr, func(fd int, ap netip.AddrPort) error {
		if from, ok := local.(*net.TCPAddr); ok {
			if err := unix.Bind(fd, sockaddr(from.AddrPort())); err != nil {
				return os.NewSyscallError("bind", err)
			}
		}
		if err := unix.Connect(fd, sockaddr(ap)); err != nil && !errors.Is(err, unix.EINPROGRESS) {
			return os.NewSyscallError("connect", err)
		}
		return os.NewSyscallError("connect", connected(fd, time.Now().Add(timeout)))
	}, net.FileConn)
}

// connected waits for the end of a connect that is under way.
func connected(fd int, deadline time.Time) error {
	for {
		left := time.Until(deadline)
		if left <= 0 {
			return os.ErrDeadlineExceeded
		}
		n, err := unix.Poll([]unix.PollFd{{Fd: int32(fd), Events: unix.POLLOUT}}, int(left.Milliseconds())+1)
		if err != nil && !errors.Is(err, unix.EINTR) {
			return err
		}
		if n > 0 {
			break
		}
	}
	number, err := unix.GetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_ERROR)
	if err == nil && number != 0 {
		err = unix.Errno(number)
	}
	return err
}
