package netlink

import (
	"errors"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

func TestKernelError(t *testing.T) {
	e := &kernelError{Errno: unix.EBUSY, Text: "Device is already in use"}
	if !errors.Is(e, unix.EBUSY) || e.Error() != "device or resource busy (Device is already in use)" {
		t.Errorf("got %v", e)
	}
	if e.Text = ""; e.Error() != "device or resource busy" {
		t.Errorf("got %v", e)
	}
}

// TestAckError: what the kernel would never send is an error, not a crash.
func TestAckError(t *testing.T) {
	tests := []struct {
		name  string
		flags uint16
		data  string
		want  string
	}{
		{"acknowledgement", 0, "\x00\x00\x00\x00", "<nil>"},
		{"short", 0, "\x00", "netlink: error message of 1 bytes"},
		{"errno", 0, "\xff\xff\xff\xff", "operation not permitted"},
		{"attributes promised, none there", unix.NLM_F_ACK_TLVS, "\xff\xff\xff\xff", "operation not permitted"},
		{"request longer than the message", unix.NLM_F_ACK_TLVS, "\xff\xff\xff\xff\xff\xff" + strings.Repeat("\x00", 14), "operation not permitted"},
		{"broken attribute", unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED, "\xff\xff\xff\xff" + strings.Repeat("\x00", 16) + "\xff\xff\x01\x00", "operation not permitted"},
		{"text", unix.NLM_F_ACK_TLVS | unix.NLM_F_CAPPED, "\xff\xff\xff\xff" + strings.Repeat("\x00", 16) + "\x07\x00\x01\x00no\x00\x00", "operation not permitted (no)"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got := "<nil>"
			if err := ackError(unix.NlMsghdr{Flags: tt.flags}, []byte(tt.data)); err != nil {
				got = err.Error()
			}
			if got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}
