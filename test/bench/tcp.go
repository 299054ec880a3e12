package main

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// Plain system calls: package net's poller would cost as much as the path that is
// measured.

// failures allowed per thousand connects: a port that comes round again while the old
// connection's entry is still known.
const failures = 10

func tcpSocket(space *stage.Space) (fd int, err error) {
	err = space.Do(func() (err error) {
		fd, err = unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
		return err
	})
	return fd, err
}

func sockaddr(text string) (*unix.SockaddrInet4, error) {
	ap, err := netip.ParseAddrPort(text)
	if err != nil {
		return nil, err
	}
	return &unix.SockaddrInet4{Port: int(ap.Port()), Addr: ap.Addr().As4()}, nil
}

// serve accepts and closes, in two threads, until stop.
func serve(space *stage.Space, listen string) (stop func(), err error) {
	addr, err := sockaddr(listen)
	if err != nil {
		return nil, err
	}
	fd, err := tcpSocket(space)
	if err != nil {
		return nil, err
	}
	err = errors.Join(unix.SetsockoptInt(fd, unix.SOL_SOCKET, unix.SO_REUSEADDR, 1), unix.Bind(fd, addr), unix.Listen(fd, 1024))
	if err != nil {
		return nil, errors.Join(err, unix.Close(fd))
	}
	var wait sync.WaitGroup
	for range 2 {
		wait.Go(func() {
			for {
				c, _, err := unix.Accept4(fd, unix.SOCK_CLOEXEC)
				if errors.Is(err, unix.EINTR) || errors.Is(err, unix.ECONNABORTED) {
					continue
				}
				if err != nil {
					return
				}
				reset(c)
			}
		})
	}
	return func() {
		_ = unix.Shutdown(fd, unix.SHUT_RDWR) // wakes the threads
		wait.Wait()
		_ = unix.Close(fd)
	}, nil
}

// reset closes without TIME_WAIT, so that no port is used up.
func reset(fd int) {
	_ = unix.SetsockoptLinger(fd, unix.SOL_SOCKET, unix.SO_LINGER, &unix.Linger{Onoff: 1})
	_ = unix.Close(fd)
}

// connectMany makes total connections by several clients and returns how many came
// about in a second, and how long each took, in microseconds, sorted.
func connectMany(space *stage.Space, to string, total, clients int) (rate float64, times []float64, err error) {
	addr, err := sockaddr(to)
	if err != nil {
		return 0, nil, err
	}
	var left, failed atomic.Int64
	var cause atomic.Value // of a failure
	left.Store(int64(total))
	var wait sync.WaitGroup
	each := make([][]float64, clients)
	begin := time.Now()
	for i := range clients {
		wait.Go(func() {
			_ = space.Do(func() error {
				for left.Add(-1) >= 0 {
					took, err := connectOnce(addr)
					if err != nil {
						failed.Add(1)
						cause.Store(err)
						continue
					}
					each[i] = append(each[i], float64(took.Nanoseconds())/1000)
				}
				return nil
			})
		})
	}
	wait.Wait()
	elapsed := time.Since(begin)
	times = slices.Concat(each...)
	slices.Sort(times)
	if n := int(failed.Load()); n*1000 > total*failures {
		return 0, nil, fmt.Errorf("%d of %d connections fail: %w", n, total, cause.Load().(error))
	}
	return float64(len(times)) / elapsed.Seconds(), times, nil
}

func connectOnce(addr *unix.SockaddrInet4) (time.Duration, error) {
	fd, err := unix.Socket(unix.AF_INET, unix.SOCK_STREAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return 0, err
	}
	defer reset(fd)
	// A lost packet must not hold up the run for the minutes that TCP tries.
	tv := unix.NsecToTimeval(int64(2 * time.Second))
	_ = unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_SNDTIMEO, &tv)
	begin := time.Now()
	err = unix.Connect(fd, addr)
	took := time.Since(begin)
	if errors.Is(err, unix.ECONNRESET) {
		// It came about, and the server was done with it before we woke up. A port where
		// nobody listens is ECONNREFUSED (tcp_reset).
		err = nil
	}
	return took, err
}
