package packets_test

import (
	"net"
	"slices"
	"strings"
	"sync"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

var _ = DescribeTable("clients follow a port to the next container, and nobody else loses a connection, with", func(b backend) {
	h := newHome(b)
	beside := h.moveIn(Port("tcp", 8081, 81), Port("udp", 5354, 53))
	Listen(beside.Space, "0.0.0.0:81") // it says nothing
	serveOn(beside.Space, "udp", "0.0.0.0:53")
	serveOn(h.Host, "udp", "0.0.0.0:5355")
	Serve(h.Outside, "udp", 5356)
	old := h.moveIn(Port("tcp", 8080, 81), Port("udp", 5353, 53))
	Listen(old.Space, "0.0.0.0:81") // it says nothing
	serveOn(old.Space, "udp", "0.0.0.0:53")

	By("others have connections")
	h.vanish(OutsideV4+":6000", HostV4+":8080")
	h.vanish(OutsideV4+":6001", HostV4+":8081")
	for _, to := range []string{HostV4 + ":5354", HostV4 + ":5355"} {
		_, err := h.Outside.AskFrom("udp", OutsideV4+":5001", to, Patience)
		Expect(err).NotTo(HaveOccurred())
	}
	_, err := old.AskFrom("udp", SecondV4+":5001", OutsideV4+":5356", Patience) // out, of the container that goes
	Expect(err).NotTo(HaveOccurred())
	_, err = beside.AskFrom("udp", FirstV4+":5001", OutsideV4+":5356", Patience)
	Expect(err).NotTo(HaveOccurred())
	others := h.flows()
	Expect(others).To(ContainElement(ContainSubstring("dport=8080")))

	By("a client of the port never stops sending")
	stop := h.sendOn("udp", OutsideV4+":5000", HostV4+":5353")
	old.moveOut()
	Expect(h.flows()).NotTo(ContainElement(ContainSubstring("dport=8080")))
	next := h.moveIn(tcp(8080), Port("udp", 5353, 53))
	udp := serveOn(next.Space, "udp", "0.0.0.0:53")
	Eventually(udp.Asked).WithTimeout(Patience).Should(BeNumerically(">", 0))
	stop()

	By("a client comes back by the TCP port that it used before it broke off")
	before := next.servedBy.Asked()
	_, err = h.Outside.AskFrom("tcp", OutsideV4+":6000", HostV4+":8080", Patience)
	Expect(err).NotTo(HaveOccurred())
	Expect(next.servedBy.Asked()).To(Equal(before + 1))

	By("all other connections are there")
	now := h.flows()
	for _, flow := range others {
		if !strings.Contains(flow, "dport=8080") && !strings.Contains(flow, "dport=5353") {
			Expect(now).To(ContainElement(flow))
		}
	}
},
	Entry("nftables", backends[0]),
	Entry("iptables-nft", backends[1]),
	Entry("iptables-legacy", backends[2]),
)

// vanish connects from the outside to a port, and ends without a word (TCP_REPAIR):
// from then on the host has the connection as established.
func (h *home) vanish(from, to string) {
	GinkgoHelper()
	local, err := net.ResolveTCPAddr("tcp", from)
	Expect(err).NotTo(HaveOccurred())
	dialer := net.Dialer{Timeout: Patience, LocalAddr: local}
	var conn net.Conn
	Inside(h.Outside, func() (err error) {
		conn, err = dialer.Dial("tcp", to)
		return err
	})
	raw, err := conn.(*net.TCPConn).SyscallConn()
	Expect(err).NotTo(HaveOccurred())
	Expect(raw.Control(func(fd uintptr) {
		err = unix.SetsockoptInt(int(fd), unix.IPPROTO_TCP, unix.TCP_REPAIR, 1)
	})).To(Succeed())
	Expect(err).NotTo(HaveOccurred())
	Expect(conn.Close()).To(Succeed())
}

// sendOn sends datagrams from one address without a pause, until the returned function
// is called.
func (h *home) sendOn(network, from, to string) (stop func()) {
	GinkgoHelper()
	local, err := net.ResolveUDPAddr(network, from)
	Expect(err).NotTo(HaveOccurred())
	remote, err := net.ResolveUDPAddr(network, to)
	Expect(err).NotTo(HaveOccurred())
	var conn *net.UDPConn
	Inside(h.Outside, func() (err error) {
		conn, err = net.ListenUDP(network, local)
		return err
	})
	var sending sync.WaitGroup
	end := make(chan bool)
	sending.Go(func() {
		for tick := time.NewTicker(2 * time.Millisecond); ; {
			select {
			case <-end:
				tick.Stop()
				return
			case <-tick.C:
				_, _ = conn.WriteTo([]byte("still here\n"), remote) // answered or not
			}
		}
	})
	return func() {
		close(end)
		sending.Wait()
		Expect(conn.Close()).To(Succeed())
	}
}

// flows are the host's tracked connections over IPv4.
func (h *home) flows() []string {
	GinkgoHelper()
	return h.tracked(unix.AF_INET)
}

// tracked are the host's tracked connections of a family.
func (h *home) tracked(family netlink.InetFamily) (list []string) {
	GinkgoHelper()
	Inside(h.Host, func() error {
		all, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
		for _, f := range all {
			// Counters and timeouts move on their own.
			text, _, _ := strings.Cut(f.String(), " packets=")
			_, reply, _ := strings.Cut(f.String(), "\t src=")
			reply, _, _ = strings.Cut(reply, " packets=")
			list = append(list, text+" / src="+reply)
		}
		return err
	})
	slices.Sort(list)
	return list
}
