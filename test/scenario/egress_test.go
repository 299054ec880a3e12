package scenario_test

import (
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

var _ = DescribeTable("a container that reaches out", func(callNf, protocol string, f family) {
	t := newTown(callNf, portmap(), nil)
	serve(t.outside, protocol, 7000)

	By("is masqueraded on the way to the outside")
	// Which of its addresses the host takes is the kernel's choice.
	expectSeen(t.client.Space, protocol, f.outside, "7000", f.host, f.other)

	By("keeps its address on the way to a neighbour")
	expectSeen(t.client.Space, protocol, f.server, "80", f.client)

	By("keeps its address on the way from the host")
	expectSeen(t.host, protocol, f.server, "80", f.gateway)
}, each())

var _ = Describe("masquerading", func() {
	It("is off unless asked for", func() {
		s := newStage()
		n := s.network(list(newest, s.bridge(subnetV4).with(conf{"ipMasq": nil})))
		b := s.container()
		b.add(n)
		serve(s.outside, "tcp", 7000)
		Expect(s.outside.Route(subnetV4, hostV4)).To(Succeed()) // the answer's way back
		expectSeen(b.Space, "tcp", outsideV4, "7000", firstV4)
	})

	It("of one network stays when the other is collected", func() {
		s := newStage()
		b := s.container()
		kept := s.network(list(newest, s.bridge(subnetV4), portmap()))
		b.add(kept, webPorts()...)
		other := s.network(encode(conf{"cniVersion": newest, "name": "other", "plugins": []conf{
			s.bridge("10.61.0.0/24").with(conf{"bridge": "other0"}), portmap(),
		}}))
		before := s.settled()
		gone := s.container()
		gone.add(other, port("tcp", 8081, 80))
		Expect(other.GC(nil)).To(Succeed())
		s.expectEqual(before)
		serve(b.Space, "tcp", 80)
		serve(s.outside, "tcp", 7000)
		expectSeen(b.Space, "tcp", outsideV4, "7000", hostV4, otherV4)
		expectSeen(s.outside, "tcp", hostV4, "8080", outsideV4)
		expectSeen(s.host, "tcp", "127.0.0.1", "8080")
	})
})

// Published ports open the host's loopback address for the host itself; nobody else
// may come in by that door (CVE-2020-8558).
var _ = DescribeTable("the host's loopback address stays closed to", func(stranger func(*town) (from *lab.Space, dev, via string)) {
	t := newTown("0", portmap(), publishes("tcp"))
	secret, err := t.host.Serve("tcp", "127.0.0.1:7777")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(secret.Close)
	expectSeen(t.host, "tcp", "127.0.0.1", "7777", "127.0.0.1") // it does run
	expectSeen(t.host, "tcp", "127.0.0.1", "8080")              // and the door is open
	from, dev, via := stranger(t)
	Expect(from.RouteLoopback(dev, via)).To(Succeed())
	expectRefused(from, "tcp", "127.0.0.1", "7777")
	expectRefused(from, "tcp", "127.0.0.1", "8080")
},
	Entry("a container", func(t *town) (*lab.Space, string, string) { return t.client.Space, "eth0", gatewayV4 }),
	Entry("the outside", func(t *town) (*lab.Space, string, string) { return t.outside, "eth0", hostV4 }),
)
