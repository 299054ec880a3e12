package link

import (
	"encoding/binary"
	"net/netip"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/limit"
	"golang.org/x/sys/unix"
)

// talk is a Conn whose kernel is the returned descriptor.
func talk(t *testing.T) (*rtnl.Conn, int) {
	t.Helper()
	pair, err := unix.Socketpair(unix.AF_UNIX, unix.SOCK_DGRAM|unix.SOCK_CLOEXEC, 0)
	if err != nil {
		t.Fatal(err)
	}
	// No answer is one, too, but not to be waited for.
	tv := unix.NsecToTimeval(1_000_000)
	if err := unix.SetsockoptTimeval(pair[0], unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tv); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _, _ = unix.Close(pair[0]), unix.Close(pair[1]) })
	return rtnl.Over(pair[0]), pair[1]
}

// message is one netlink message for the next request.
func message(seq uint32, kind, flags uint16, payload []byte) []byte {
	b := binary.NativeEndian.AppendUint32(nil, uint32(unix.SizeofNlMsghdr+len(payload)))
	b = binary.NativeEndian.AppendUint16(b, kind)
	b = binary.NativeEndian.AppendUint16(b, flags)
	b = binary.NativeEndian.AppendUint32(b, seq)
	b = append(binary.NativeEndian.AppendUint32(b, 0), payload...)
	return append(b, make([]byte, -len(b)&3)...)
}

// FuzzAnswer: whatever the kernel answers to whatever is asked, there is no panic, and
// what is not understood is an error or left out.
func FuzzAnswer(f *testing.F) {
	link := append(make([]byte, 16), 8, 0, unix.IFLA_IFNAME, 0, 'l', 'o', 0, 0)
	port := append(make([]byte, 16), 20, 0, unix.IFLA_LINKINFO, 0, 11, 0, 4, 0, 'b', 'r', 'i', 'd', 'g', 'e', 0, 0, 4, 0, 5, 0)
	alias := append(make([]byte, 16), 14, 0, unix.IFLA_IFALIAS, 0, 'b', 'r', 'i', 'd', 'g', 'e', 'p', 'o', 'r', 't', 0, 0)
	route := append([]byte{unix.AF_INET, 24, 0, 0, 254, 0, 0, 1, 0, 0, 0, 0}, 8, 0, unix.RTA_DST, 0, 10, 1, 0, 0)
	refusal := binary.NativeEndian.AppendUint32(nil, uint32(0x100000000-uint64(unix.ENODEV)))
	for question := range uint8(questions) {
		for _, seed := range [][]byte{link, port, alias, route, link[:5], append(link, 4, 0, unix.IFLA_MTU, 0), append(route, 4, 0, unix.RTA_OIF, 0)} {
			f.Add(question, uint16(unix.RTM_NEWLINK), uint16(0), seed)
		}
		f.Add(question, uint16(unix.NLMSG_ERROR), uint16(0), refusal)
		f.Add(question, uint16(unix.NLMSG_ERROR), uint16(unix.NLM_F_ACK_TLVS), append(refusal, make([]byte, 20)...))
		f.Add(question, uint16(unix.NLMSG_DONE), uint16(unix.NLM_F_DUMP_INTR), []byte{})
	}
	f.Fuzz(func(t *testing.T, question uint8, kind, flags uint16, payload []byte) {
		defer limit.Cost(t)()
		if len(payload) > rtnl.AnswerBuffer/2 {
			return
		}
		c, kernel := talk(t)
		answer := append(message(1, kind, flags, payload), message(1, unix.NLMSG_DONE, 0, make([]byte, 4))...)
		if _, err := unix.Write(kernel, answer); err != nil {
			t.Fatal(err)
		}
		ask(c, question)
	})
}

// questions is how many ask knows.
const questions = 9

func ask(c *rtnl.Conn, question uint8) {
	h := &plan.Session{Host: c}
	switch question % questions { // any answer is right but a panic
	case 0:
		_, _ = c.Link("lo")
	case 1:
		_, _ = c.Links()
	case 2:
		_, _ = c.Addresses(0)
	case 3:
		_, _ = listRoutes(c, netip.MustParsePrefix("10.1.0.0/24"), unix.RT_TABLE_MAIN, 1)
	case 4:
		_, _ = portVlans(c, 0)
	case 5:
		_, _ = settled(c, 0)
	case 6:
		_, _ = UplinkMTU(h)
	case 7:
		_, _ = LinkTowards(h, netip.MustParseAddr("10.1.0.2"))
	case 8:
		_, _ = c.Dying(&rtnl.Link{PeerNS: 0})
	}
}

// FuzzDatagram: the same for datagrams of any form.
func FuzzDatagram(f *testing.F) {
	f.Add([]byte{})
	f.Add(message(1, unix.NLMSG_DONE, 0, nil))
	f.Add(message(1, unix.NLMSG_ERROR, 0, nil))
	f.Add(message(1, unix.RTM_NEWLINK, 0, make([]byte, 16))[:20])
	f.Fuzz(func(t *testing.T, datagram []byte) {
		defer limit.Cost(t)()
		if len(datagram) > rtnl.AnswerBuffer {
			return
		}
		c, kernel := talk(t)
		if _, err := unix.Write(kernel, datagram); err != nil {
			t.Fatal(err)
		}
		_, _ = c.Links()
		if _, err := unix.Write(kernel, datagram); err != nil {
			t.Fatal(err)
		}
		c.Queue(rtnl.LinkRequest(unix.RTM_DELLINK, 0, "lo", false), "link lo: delete")
		_ = c.Flush()
	})
}

// FuzzAlias: of what anybody may write into an alias or a comment, only our own words
// count, and only settings that we change are ever written back.
func FuzzAlias(f *testing.F) {
	f.Add("bridgeport was-0:net/ipv4/ip_forward")
	f.Add("bridgeport was-0:../../kernel/core_pattern")
	f.Add("bridgeport was-1:net/ipv6/conf/uplink/accept_ra")
	f.Fuzz(func(t *testing.T, alias string) {
		defer limit.Cost(t)()
		for _, key := range notes(alias) {
			name, is := strings.CutSuffix(strings.TrimPrefix(key, "net/ipv6/conf/"), "/accept_ra")
			if key != forward4 && key != forward6 && (!is || cni.CheckLinkName(name) != nil) {
				t.Errorf("%q: would write %q", alias, key)
			}
		}
	})
}
