package packets_test

import (
	"fmt"
	"os"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a backend that is changed between ADD and DEL", func() {
	for _, from := range backends {
		for _, to := range backends {
			if from != to {
				It(fmt.Sprintf("from %s to %s leaves nothing", from, to), func() { changeBackend(from, to) })
			}
		}
	}
})

// legacyRules are the rules of legacy tables, which the snapshot does not see.
func (h *home) legacyRules() string {
	GinkgoHelper()
	var all string
	for _, program := range []string{"iptables-legacy-save", "ip6tables-legacy-save"} {
		for line := range strings.Lines(Program(h.Host, "", program)) {
			if !strings.HasPrefix(line, "#") && !strings.HasPrefix(line, ":") { // the time, and counters
				all += line
			}
		}
	}
	return all
}

func changeBackend(from, to backend) {
	h := newHome(from)
	stays := h.moveIn(tcp(8081))
	warm := h.moveIn(tcp(8080))
	h.Settled()
	warm.moveOut()
	before, legacy := h.Settled(), h.legacyRules()

	b := h.moveIn(tcp(8080), Port("udp", 5353, 53))
	b.expectOpen(8080)
	h.turn(to)
	b.ports = Chained(h.backend.name, b.result, b.portMapping...)
	b.lan = h.lan()
	for range 2 { // DEL may come again
		b.moveOut()
		h.ExpectEqual(before)
		Expect(h.legacyRules()).To(Equal(legacy))
	}
	h.expectClosed(8080)
	stays.expectOpen(8081)
	h.turn(from)
	stays.expectSound()
}

// turn makes the backend another one from here on.
func (h *home) turn(b backend) {
	GinkgoHelper()
	h.backend = b
	if b.xtables != "" {
		NewXtables(h.Stage, b.xtables)
	}
}

// With the last address of a container gone astray (somebody removed its lease), the
// next container gets it; DEL of the first comes after that.
var _ = DescribeTable("a late DEL takes nothing from the container that has the address now, with", func(b backend, port int) {
	h := newHome(b)
	Serve(h.Outside, "tcp", 7000)
	old := h.moveIn(tcp(8080))
	for _, ip := range old.result.IPs {
		Expect(os.Remove(h.Lease(ip.Address.IP.String()))).To(Succeed())
	}
	old.die()

	h.address = []string{FirstV4 + "/24", FirstV6 + "/64"}
	next := h.moveIn(tcp(port))
	Expect(next.result.IPs[0].Address.IP).To(Equal(old.result.IPs[0].Address.IP))
	next.expectOpen(port)
	old.lan = h.lan().With(Conf{"runtimeConfig": nil})
	old.moveOut()
	next.expectSound()
	next.expectOpen(port)
	next.expectMasqueraded()
	Expect(h.Lease(FirstV4)).To(BeAnExistingFile())
	if port != 8080 {
		h.expectClosed(8080)
	}
},
	Entry("nftables, and another port", backends[0], 8081),
	Entry("nftables, and the same port", backends[0], 8080),
	Entry("iptables-nft, and another port", backends[1], 8081),
	Entry("iptables-nft, and the same port", backends[1], 8080),
	Entry("iptables-legacy, and another port", backends[2], 8081),
	Entry("iptables-legacy, and the same port", backends[2], 8080),
)
