package packets_test

import (
	"net"
	"slices"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// What the host tracks when a container with a published UDP and TCP port leaves, and whether
// it does so after DEL of portmap: with the reference, and with ours.
var remembered = []struct {
	name        string
	network     string
	from, to    string
	byHost      bool // the client is the host, else the outside
	theirs, own bool
}{
	{"the UDP port", "udp", OutsideV4 + ":5001", HostV4 + ":5353", false, false, false},
	{"the UDP port, IPv6", "udp", "[" + OutsideV6 + "]:5001", "[" + HostV6 + "]:5353", false, false, false},
	{"another container's UDP port", "udp", OutsideV4 + ":5002", HostV4 + ":5354", false, true, true},
	// The reference goes by the number alone.
	{"the host asks another one at a port of this number", "udp", HostV4 + ":5003", OutsideV4 + ":5353", true, false, true},
	// The reference leaves TCP as it is.
	{"the TCP port", "tcp", OutsideV4 + ":6000", HostV4 + ":8080", false, true, false},
}

var _ = DescribeTable("DEL makes the host forget the flows of a published port, which a process of the host takes over, with", func(b backend, reference bool) {
	h := newHome(b)
	if reference {
		h.Bin = Reference(GinkgoT(), "bridge", "portmap", "host-local")
	}
	beside := h.moveIn(Port("udp", 5354, 53))
	old := h.moveIn(Port("udp", 5353, 53), Port("tcp", 8080, 81))
	Listen(old.Space, "0.0.0.0:81") // it says nothing
	for _, s := range []*Space{old.Space, beside.Space} {
		Serve(s, "udp", 53)
	}
	Serve(h.Outside, "udp", 5353)
	for _, r := range remembered {
		switch {
		case r.network == "tcp":
			h.vanish(r.from, r.to)
		case r.byHost:
			h.asked(h.Host, r.from, r.to)
		default:
			h.asked(h.Outside, r.from, r.to)
		}
		Expect(h.remembers(r.network, r.from, r.to)).To(BeTrue(), "before: %s", r.name)
	}

	ExpectOK("DEL", h.Call(old.Box, "DEL", old.ports))
	for _, r := range remembered {
		want := r.own
		if reference {
			want = r.theirs
		}
		Expect(h.remembers(r.network, r.from, r.to)).To(Equal(want), r.name)
	}
	old.moveOut()
	Serve(h.Host, "udp", 5353)
	for _, r := range remembered[:2] {
		h.asked(h.Outside, r.from, r.to)
	}
},
	Entry("ours, nftables", backends[0], false),
	Entry("ours, iptables-nft", backends[1], false),
	Entry("the reference, nftables", backends[0], true),
	Entry("the reference, iptables-nft", backends[1], true),
)

// asked wants an answer over UDP.
func (h *home) asked(client *Space, from, to string) {
	GinkgoHelper()
	_, err := client.AskFrom("udp", from, to, Patience)
	Expect(err).NotTo(HaveOccurred())
}

// remembers says whether the host tracks this connection.
func (h *home) remembers(network, from, to string) bool {
	GinkgoHelper()
	_, port, err := net.SplitHostPort(from)
	Expect(err).NotTo(HaveOccurred())
	addr, dport, err := net.SplitHostPort(to)
	Expect(err).NotTo(HaveOccurred())
	return slices.ContainsFunc(append(h.tracked(unix.AF_INET), h.tracked(unix.AF_INET6)...), func(flow string) bool {
		there, _, _ := strings.Cut(flow, "\t src=")
		return strings.HasPrefix(there, network) && strings.Contains(there+" ", "dst="+addr+" ") &&
			strings.Contains(there+" ", "sport="+port+" ") && strings.Contains(there+" ", "dport="+dport+" ")
	})
}
