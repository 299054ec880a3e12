package scenario_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = DescribeTable("a container that reaches out", func(callNf, protocol string, f family) {
	t := newTown(callNf, Portmap(), nil)
	Serve(t.Outside, protocol, 7000)

	By("is masqueraded on the way to the outside")
	// Which of its addresses the host takes is the kernel's choice.
	ExpectSeen(t.client.Space, protocol, f.outside, "7000", f.host, f.other)

	By("keeps its address on the way to a neighbour")
	ExpectSeen(t.client.Space, protocol, f.server, "80", f.client)

	By("keeps its address on the way from the host")
	ExpectSeen(t.Host, protocol, f.server, "80", f.gateway)
}, each())

var _ = Describe("masquerading", func() {
	It("is off unless asked for", func() {
		s := newStage()
		n := s.Network(list(Newest, bridge(s, SubnetV4).With(Conf{"ipMasq": nil})))
		b := s.Container()
		b.Add(n)
		Serve(s.Outside, "tcp", 7000)
		Expect(s.Outside.Route(SubnetV4, HostV4)).To(Succeed()) // the answer's way back
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", FirstV4)
	})

	It("of one network stays when the other is collected", func() {
		s := newStage()
		b := s.Container()
		kept := s.Network(list(Newest, bridge(s, SubnetV4), Portmap()))
		b.Add(kept, webPorts()...)
		other := s.Network(Encode(Conf{"cniVersion": Newest, "name": "other", "plugins": []Conf{
			bridge(s, "10.61.0.0/24").With(Conf{"bridge": "other0"}), Portmap(),
		}}))
		before := s.Settled()
		gone := s.Container()
		gone.Add(other, Port("tcp", 8081, 80))
		Expect(other.GC(nil)).To(Succeed())
		s.ExpectEqual(before)
		Serve(b.Space, "tcp", 80)
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4, otherV4)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Host, "tcp", "127.0.0.1", "8080")
	})
})

// Published ports open the host's loopback address for the host itself; nobody else
// may come in by that door (CVE-2020-8558).
var _ = DescribeTable("the host's loopback address stays closed to", func(stranger func(*town) (from *Space, dev, via string)) {
	t := newTown("0", Portmap(), publishes("tcp"))
	secret, err := t.Host.Serve("tcp", "127.0.0.1:7777")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(secret.Close)
	ExpectSeen(t.Host, "tcp", "127.0.0.1", "7777", "127.0.0.1") // it does run
	ExpectSeen(t.Host, "tcp", "127.0.0.1", "8080")              // and the door is open
	from, dev, via := stranger(t)
	Expect(from.RouteLoopback(dev, via)).To(Succeed())
	ExpectRefused(from, "tcp", "127.0.0.1", "7777")
	ExpectRefused(from, "tcp", "127.0.0.1", "8080")
},
	Entry("a container", func(t *town) (*Space, string, string) { return t.client.Space, "eth0", GatewayV4 }),
	Entry("the outside", func(t *town) (*Space, string, string) { return t.Outside, "eth0", HostV4 }),
)
