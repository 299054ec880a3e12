package operator_test

import (
	"encoding/json"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// One node with 200 attachments for all of these: it takes some seconds to make.
var _ = Describe("with 200 attachments", Ordered, func() {
	var n *Node
	BeforeAll(func() { n = crowd() })

	It("lists 200", func() {
		l := n.listed()
		Expect(l.Attachments).To(HaveLen(200))
		for _, a := range l.Attachments {
			Expect(a.State).To(Equal("ok"), "%s %v", a.Container, a.Notes)
		}
		Expect(l.Networks[0].Pools[0].Used).To(Equal(200))
	})

	It("finds among 200", func() {
		Expect(strings.Fields(n.ok("who", "tcp/9190"))).To(ContainElement(ContainSubstring("lan/c190/eth0")))
	})

	It("counts on with 200", func() {
		Expect(n.ok("plan")).To(ContainSubstring("ip address add 10.60.0.202/24 dev eth0"))
	})

	It("draws 200", func() {
		svg := n.ok("graph", "-f", "svg")
		host, err := os.Hostname()
		Expect(err).NotTo(HaveOccurred())
		golden("graph-200.svg", strings.ReplaceAll(svg, host, "node-1"))
		text := wellFormed(svg)
		Expect(text).To(ContainSubstring("c199"))
		Expect(text).To(ContainSubstring("10.60.0.201"))
		Expect(text).To(ContainSubstring("9190→80/tcp"))
	})

	It("has nothing for doctor, repair and gc", func() {
		names, status := n.found()
		Expect(names).To(BeEmpty())
		Expect(status).To(BeZero())
		Expect(n.ok("repair")).To(Equal("nothing to mend\n"))
		Expect(n.ok("gc", "--grace", "0s")).To(HavePrefix("nothing is dead"))
		Expect(n.ok("metrics")).To(ContainSubstring("bridgeport_attachments{network=\"lan\",state=\"ok\"} 200\n"))
		Expect(n.ok("top", "-n", "1", "--interval", "10ms", "--rows", "5")).To(ContainSubstring("5 attachments of 200"))
		var exposed []struct{ Port string }
		Expect(json.Unmarshal([]byte(n.ok("exposure", "-o", "json")), &exposed)).To(Succeed())
		Expect(exposed).To(HaveLen(40))
		stage.Serve(n.Boxes[190].Space, "tcp", 80)
		Expect(n.ok("trace", stage.OutsideV4, "tcp/9190")).To(ContainSubstring("it arrives"))
	})

	It("bundles them, scrubbed", func() {
		n.ok("bundle", "--scrub", n.Dir+"/crowd.tgz")
	})

	It("collects the dead among them", func() {
		for i := range 5 {
			n.dies(195 + i)
		}
		Expect(n.ok("gc", "--grace", "0s")).To(HaveSuffix("removed 5, kept 0\n"))
		l := n.listed()
		Expect(l.Attachments).To(HaveLen(195))
	})

	It("mends all that are left", func() {
		n.nft("flush ruleset")
		doctor := n.ran("doctor").Out
		Expect(doctor).To(MatchRegexp(`195 times in network lan, such as lan/c000/eth0: `))
		Expect(strings.Count(doctor, "elements-missing")).To(Equal(1))
		Expect(strings.Count(doctor, "\n")).To(BeNumerically("<", 60), doctor)
		Expect(strings.Count(n.ran("doctor", "-v").Out, "elements-missing")).To(Equal(195))
		n.ok("repair")
		for _, a := range n.listed().Attachments {
			Expect(a.State).To(Equal("ok"), "%s %v", a.Container, a.Notes)
		}
	})
})
