package firewall

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
	"golang.org/x/sys/unix"
)

// FuzzListener: whatever the kernel says of a socket, there is no panic.
func FuzzListener(f *testing.F) {
	f.Add(make([]byte, 72))
	f.Add(append(make([]byte, 72), 5, 0, 11, 0, 0))
	f.Fuzz(func(t *testing.T, payload []byte) {
		defer limit.Cost(t)()
		_, _ = parseListener(unix.IPPROTO_TCP, payload)
	})
}

// FuzzMark: a mark that somebody changed never counts less than nothing.
func FuzzMark(f *testing.F) {
	f.Add("30629ef8-1b753752339 3 lan/c1/eth0")
	f.Fuzz(func(t *testing.T, mark string) {
		defer limit.Cost(t)()
		if n := wanted(mark); n < 0 {
			t.Errorf("%q: wants %d elements", mark, n)
		}
	})
}
