package nft

import "golang.org/x/sys/unix"

// Close hands the socket to the kernel's garbage collector, so that nobody waits for its end. After a
// deletion of rules, by anybody, the close of such a socket waits 6 to 18 ms for an RCU grace period
// (nft_rcv_nl_event), in each process that closes one.
func (c *Conn) Close() error {
	queue, peer := c.bequeath()
	err := c.nl.CloseLasting()
	// In this order: the queue holds itself, and the close of its peer finds it unreachable.
	_, _ = unix.Close(queue), unix.Close(peer)
	return err
}

// bequeath sends the socket through a pair of Unix sockets, together with the end that the message
// waits in. When both ends are closed, nobody can read the message, and the kernel closes what is in
// it (net/unix/garbage.c): from Linux 6.9 on, and in later releases of 6.1 and 6.6, in a worker;
// before that within the close of peer, which then waits. After an error Close waits, too.
func (c *Conn) bequeath() (queue, peer int) {
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		return -1, -1
	}
	_ = c.raw.Control(func(fd uintptr) {
		_ = unix.Sendmsg(pair[1], []byte{0}, unix.UnixRights(int(fd), pair[0]), nil, 0)
	})
	return pair[0], pair[1]
}
