package netlink

import (
	"encoding/binary"
	"errors"
	"slices"
	"strings"
	"testing"

	"golang.org/x/sys/unix"
)

// message is one of the kernel's, in answer to question 1.
func message(kind, flags uint16, data string) []byte {
	m := Netfilter{Type: kind, Flags: flags, Attrs: []byte(data)}.Append(nil, 1)
	binary.NativeEndian.PutUint16(m[6:], flags)
	return m
}

// done ends a list.
func done(errno unix.Errno, flags uint16) []byte {
	m := message(unix.NLMSG_DONE, flags, "")
	binary.NativeEndian.PutUint32(m[unix.SizeofNlMsghdr:], uint32(-int32(errno)))
	return m
}

// TestReading: what a datagram of a list says, beside its entries.
func TestReading(t *testing.T) {
	entry := message(1, 0, "\x05\x00\x01\x00x\x00\x00\x00")
	for name, c := range map[string]struct {
		datagram    []byte
		entries     int
		done, again bool
		want        string
	}{
		"a part":                 {slices.Concat(entry, entry), 2, false, false, ""},
		"the last part":          {slices.Concat(entry, done(0, 0)), 1, true, false, ""},
		"nothing":                {done(0, 0), 0, true, false, ""},
		"an error":               {done(unix.EPERM, 0), 0, true, false, "operation not permitted"},
		"interrupted":            {slices.Concat(message(1, unix.NLM_F_DUMP_INTR, ""), done(0, 0)), 1, true, true, ""},
		"interrupted at the end": {slices.Concat(entry, done(0, unix.NLM_F_DUMP_INTR)), 1, true, true, ""},
		"cut off":                {entry[:len(entry)-4], 0, false, false, "message of"},
		"half a head":            {slices.Concat(entry, entry[:10]), 1, false, false, "10 bytes behind"},
		"another's":              {Netfilter{}.Append(nil, 2), 0, false, false, ""},
	} {
		n := 0
		r := reading{seq: 1, dump: true, shortest: nfgenmsg, fn: func([]byte) error { n++; return nil }}
		err := eachMessage(c.datagram, r.message)
		got := ""
		if err != nil {
			got = err.Error()
		}
		if n != c.entries || r.done != c.done || r.interrupted != c.again || (err != nil) != (c.want != "") || !strings.Contains(got, c.want) {
			t.Errorf("%s: got %d entries, done %t, interrupted %t, %v", name, n, r.done, r.interrupted, err)
		}
	}
}

// TestAnswer: what is no answer to a question is an error, never a panic.
func TestAnswer(t *testing.T) {
	errorHead := unix.NlMsghdr{Type: unix.NLMSG_ERROR}
	for name, c := range map[string]struct {
		head  unix.NlMsghdr
		data  string
		found bool
		fails bool
	}{
		"an object":      {unix.NlMsghdr{}, "\x01\x00\x00\x00", true, false},
		"half a head":    {unix.NlMsghdr{}, "\x01", false, true},
		"nothing there":  {errorHead, "\xfe\xff\xff\xff", false, false},
		"refused":        {errorHead, "\xff\xff\xff\xff", false, true},
		"done":           {errorHead, "\x00\x00\x00\x00", false, false},
		"half an answer": {errorHead, "\x00", false, true},
	} {
		if attrs, err := answer(c.head, []byte(c.data)); (attrs != nil) != c.found || (err != nil) != c.fails {
			t.Errorf("%s: got %v, %v", name, attrs, err)
		}
	}
	for _, b := range [][]byte{{1}, {1, 0, 0, 0}, {200, 0, 1, 0}, {5, 0, 1, 0, 9}} {
		list, _ := Attributes(b)
		for _, a := range list {
			if a.Type != 1 || len(a.Value) != 1 {
				t.Errorf("%v: got %+v", b, a)
			}
		}
	}
}

// TestAskAll: who may not ask gets one refusal for all questions, and does not wait for
// more. NFNL_SUBSYS_NONE is nobody's: the kernel refuses each question by itself.
func TestAskAll(t *testing.T) {
	c, err := DialProtocol(unix.NETLINK_NETFILTER)
	if err != nil {
		t.Skip(err)
	}
	defer c.Close()
	err = c.AskAll(2*Window+1, func(int) Netfilter { return Netfilter{Type: 0xff00} }, func(i int, _ []byte) error {
		t.Errorf("an answer to %d", i)
		return nil
	})
	if err == nil || errors.Is(err, unix.ETIMEDOUT) {
		t.Errorf("got %v", err)
	}
}
