package packets_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("somebody's", func() {
	for _, b := range backends {
		It("nft flush ruleset, with "+b.String(), func() { flushRuleset(b) })
	}
	for _, b := range backends {
		for _, variant := range []string{"nft", "legacy"} {
			It("iptables -t nat -F, over "+variant+", with "+b.String(), func() { flushNAT(b, variant) })
		}
	}
})

// flushed is a host where somebody is about to flush rules.
type flushed struct {
	*home
	first  *resident
	secret *Server // on the host's loopback address
}

func newFlushed(b backend) flushed {
	GinkgoHelper()
	h := newHome(b)
	Serve(h.Outside, "tcp", 7000)
	f := flushed{h, h.moveIn(tcp(8080)), serveOn(h.Host, "tcp", "127.0.0.1:7777")}
	f.expectWhole()
	return f
}

// expectWhole wants everything of the first container to work.
func (f flushed) expectWhole() {
	GinkgoHelper()
	f.first.expectSound()
	f.first.expectOpen(8080)
	f.first.expectMasqueraded()
}

// expectMended wants a second container's ADD to bring back what is shared, CHECK of
// the first to name only what is its own, and DEL and ADD to bring that back.
func (f flushed) expectMended() {
	GinkgoHelper()
	second := f.moveIn(tcp(8081))
	second.expectSound()
	second.expectOpen(8081)
	second.expectMasqueraded()

	portmap, bridge := f.first.checks()
	for _, text := range []string{said(portmap), said(bridge)} {
		for _, shared := range []string{"PREROUTING", "-A OUTPUT", "chain prerouting", "chain postrouting", "guard", "GUARD"} {
			Expect(text).NotTo(ContainSubstring(shared))
		}
	}
	ExpectError(portmap, Drift, "8080")
	ExpectError(bridge, Drift, FirstV4)

	By("and nobody gets in by the loopback address")
	f.expectShut()

	By("DEL and ADD bring back the rest")
	f.first.moveOut()
	f.first.add()
	f.expectWhole()
	second.expectSound()
	second.expectOpen(8081)
}

func flushRuleset(b backend) {
	f := newFlushed(b)
	Program(f.Host, "", "nft", "flush", "ruleset")
	if b.xtables == "legacy" { // other tables; but what keeps frames apart is in nf_tables
		f.first.expectOpen(8080)
		f.first.expectMasqueraded()
		portmap, bridge := f.first.checks()
		ExpectOK("CHECK", portmap)
		ExpectError(bridge, Drift, "chain bridge bridgeport")
		f.moveIn(tcp(8081))
		f.expectWhole()
		return
	}

	By("CHECK says what is gone")
	portmap, bridge := f.first.checks()
	if b.name == "nftables" {
		ExpectError(portmap, Drift, "chain inet bridgeport prerouting", "guard", "8080")
		ExpectError(bridge, Drift, "chain inet bridgeport postrouting", "masquerade4", FirstV4)
	} else {
		ExpectError(portmap, Drift, "PREROUTING", "OUTPUT", "8080", "CNI-HOSTPORT-GUARD")
		ExpectError(bridge, Drift, "POSTROUTING", "MASQUERADE")
	}

	By("the port leads nowhere")
	f.expectClosed(8080)

	By("the next ADD brings back what is shared")
	f.expectMended()
}

func flushNAT(b backend, variant string) {
	f := newFlushed(b)
	for _, program := range []string{"iptables", "ip6tables"} {
		if out, err := Try(f.Host, "", program+"-"+variant, "-t", "nat", "-F"); err != nil {
			Missing(GinkgoT(), variant+" iptables ("+out+err.Error()+")")
		}
	}
	if variant != b.xtables {
		f.expectWhole()
		return
	}

	By("CHECK says what is gone")
	portmap, bridge := f.first.checks()
	ExpectError(portmap, Drift, "PREROUTING", "OUTPUT", "8080")
	Expect(said(portmap)).NotTo(ContainSubstring("GUARD"), "table raw is whole")
	ExpectError(bridge, Drift, "POSTROUTING", "MASQUERADE")

	By("the port leads nowhere, and nobody gets in by the loopback address")
	f.expectClosed(8080)
	f.expectShut()

	By("the next ADD brings back what is shared")
	f.expectMended()
}

// expectShut wants a service on the host's loopback address to be out of reach for a
// container that sends packets to it.
func (f flushed) expectShut() {
	GinkgoHelper()
	attacker := f.moveIn()
	served(f.secret, f.Host, "127.0.0.1", "7777", "127.0.0.1")
	Expect(attacker.RouteLoopback("eth0", GatewayV4)).To(Succeed())
	ExpectRefused(attacker.Space, "tcp", "127.0.0.1", "7777")
	attacker.moveOut()
}
