package netlink

import (
	"fmt"
	"time"

	"golang.org/x/sys/unix"
)

// Join subscribes to a multicast group of the kernel's announcements.
func (c *Conn) Join(group int) error {
	// Without an address the socket looks like the kernel, which skips itself (do_one_broadcast).
	if err := unix.Bind(c.fd, &unix.SockaddrNetlink{Family: unix.AF_NETLINK}); err != nil {
		return fmt.Errorf("netlink: bind: %w", err)
	}
	if err := unix.SetsockoptInt(c.fd, unix.SOL_NETLINK, unix.NETLINK_ADD_MEMBERSHIP, group); err != nil {
		return fmt.Errorf("netlink: join group %d: %w", group, err)
	}
	return nil
}

// Wait returns at the next announcement, or with ETIMEDOUT at the deadline.
func (c *Conn) Wait(deadline time.Time) error {
	left := time.Until(deadline)
	if left <= 0 {
		return unix.ETIMEDOUT
	}
	tv := unix.NsecToTimeval(int64(left))
	if err := unix.SetsockoptTimeval(c.fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		return fmt.Errorf("netlink: set timeout: %w", err)
	}
	err := c.receive(func(unix.NlMsghdr, []byte) error { return nil })
	return Ignore(err, unix.ENOBUFS) // announcements were lost: look again
}
