package nft

import "golang.org/x/sys/unix"

// Close closes the socket. After a deletion, whoever's it was, the kernel makes everybody
// who closes one wait for an RCU grace period, 6-18 ms (nft_rcv_nl_event), so the last
// reference is left to the kernel.
func (c *Conn) Close() error {
	defer c.bequeath()()
	return c.nl.CloseLasting()
}

// bequeath queues a reference to the socket, with one to the queue itself, in a Unix
// socket. Once drop has closed that, nobody can reach it any more, and closing its peer
// makes the kernel look for such cycles (net/unix/garbage.c): in a worker from Linux 6.9
// on and in later releases of 6.1 and 6.6, before that within drop, which then takes as
// long as closing does. Where a socket can't be had or may not be passed (ETOOMANYREFS),
// nothing is queued and closing takes its time.
func (c *Conn) bequeath() (drop func()) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return func() {}
	}
	queue, peer := pair[0], pair[1]
	// Errors are as good as not to have tried.
	_ = c.raw.Control(func(fd uintptr) {
		_ = unix.Sendmsg(peer, []byte{0}, unix.UnixRights(int(fd), queue), nil, 0)
	})
	return func() {
		// In this order: the queue, which holds itself, is not released by being closed.
		_ = unix.Close(queue)
		_ = unix.Close(peer)
	}
}
