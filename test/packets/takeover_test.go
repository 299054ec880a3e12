package packets_test

import (
	"fmt"
	"regexp"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// pairs are the reference's backends of portmap and of bridge's masquerade.
var pairs = []struct{ ports, masquerade string }{
	{"iptables", "iptables"},
	{"iptables", "nftables"},
	{"nftables", "iptables"},
	{"nftables", "nftables"},
}

var _ = Describe("a node that changes plugins under its containers:", func() {
	for _, p := range pairs {
		about := fmt.Sprintf("ports by %s, masquerade by %s,", p.ports, p.masquerade)
		It(about+" from the reference to ours", func() { fromReference(p.ports, p.masquerade) })
		It(about+" from ours to the reference", func() { toReference(p.ports, p.masquerade) })
	}
})

// newChanging is a home in which each plugin has a backend of its own.
func newChanging(ports, masquerade string) *home {
	GinkgoHelper()
	h := newHome(backend{ports, "nft"})
	h.masquerade = masquerade
	Serve(h.Outside, "tcp", 7000)
	return h
}

// by runs do with other plugins.
func (h *home) by(bin string, do func()) {
	GinkgoHelper()
	ours := h.Bin
	h.Bin = bin
	do()
	h.Bin = ours
}

func fromReference(ports, masquerade string) {
	h := newChanging(ports, masquerade)
	reference := Reference(GinkgoT(), "bridge", "portmap", "host-local")
	var old *resident
	var before snapshot.Snapshot
	h.by(reference, func() {
		old = h.moveIn(tcp(8080), Port("udp", 5353, 53))
		h.Settled()
		old.moveOut()
		before = h.Settled() // what the reference leaves behind of its own
		old.add()
	})
	old.expectOpen(8080)
	old.expectMasqueraded()

	By("CHECK says that it was made by others")
	portmap, bridge := old.checks()
	if ports == "iptables" { // all rules are as ours; but the reference has no guard
		ExpectError(portmap, Drift, "CNI-HOSTPORT-GUARD")
	} else {
		ExpectError(portmap, Drift, "made by another version")
	}
	ExpectError(bridge, Drift, "made by another version")

	By("one of ours beside it works, and its own ports go on")
	beside := h.moveIn(tcp(8081))
	beside.expectSound()
	beside.expectOpen(8081)
	old.expectOpen(8080)
	old.expectMasqueraded()

	By("a port that it holds is refused")
	late := h.Container()
	result := h.Add(late, h.lan())
	clash := Chained(h.backend.name, result, tcp(8080))
	if ports == "iptables" { // over nftables there is no name to be found
		ExpectError(h.Call(late, "ADD", clash), Conflict, "8080", old.ID)
	}
	ExpectOK("DEL", h.Call(late, "DEL", clash))
	h.Del(late, h.lan(), result)

	By("DEL of ours takes all of it back, GC what is shared")
	old.moveOut()
	h.expectClosed(8080)
	beside.expectSound()
	beside.expectOpen(8081)
	old.moveOut() // again
	beside.moveOut()
	h.GC(beside.ports)
	h.GC(h.lan())
	h.expectNothingMore(before)
}

// allowed are the differences to what the reference leaves that are meant.
var allowed = []*regexp.Regexp{
	// Our GC takes away the chains that all share, and what leads to them.
	regexp.MustCompile(`^- .*CNI-HOSTPORT-`),
	// iptables over nf_tables makes these by looking, and keeps them.
	regexp.MustCompile(`^\+ nft table ip6? (nat|raw): flags 0$`),
	regexp.MustCompile(`^\+ nft chain ip6? (nat|raw) [A-Z]+: chain type `),
	// Our table stays, empty, as long as 127.0.0.0/8 is routed from a link that stays.
	regexp.MustCompile(`^\+ nft (table inet bridgeport|chain inet bridgeport [a-z0-9]+|set inet bridgeport [a-z0-9]+): [^e]`),
}

// expectNothingMore is ExpectEqual, less what is allowed.
func (h *home) expectNothingMore(before snapshot.Snapshot) {
	GinkgoHelper()
	Eventually(func() string {
		lines := slices.DeleteFunc(snapshot.Diff(before, h.Snap()), func(line string) bool {
			return slices.ContainsFunc(allowed, func(r *regexp.Regexp) bool { return r.MatchString(line) })
		})
		return strings.Join(lines, "\n")
	}).WithTimeout(Patience).Should(BeEmpty(), "left behind, or lost")
}

func toReference(ports, masquerade string) {
	h := newChanging(ports, masquerade)
	reference := Reference(GinkgoT(), "bridge", "portmap", "host-local")
	warm := h.moveIn(tcp(8080))
	h.Settled()
	warm.moveOut()
	before := h.Settled()

	old := h.moveIn(tcp(8080))
	old.expectOpen(8080)
	stays := h.moveIn(tcp(8081))

	By("the reference's DEL ends it")
	h.by(reference, old.moveOut)
	Expect(HasLink(old.Space, "eth0")).To(BeFalse())
	h.expectClosed(8080)
	stays.expectSound()
	stays.expectOpen(8081)

	By("the next container gets the port, and any address")
	next := h.moveIn(tcp(8080))
	next.expectSound()
	next.expectOpen(8080)
	next.expectMasqueraded()

	By("GC of ours removes the rest")
	h.GC(stays.ports, stays.Box, next.Box)
	h.GC(h.lan(), stays.Box, next.Box)
	stays.expectSound()
	stays.expectOpen(8081)
	next.expectSound()
	next.expectOpen(8080)
	next.moveOut()
	stays.moveOut()
	h.expectNothingMore(before)
}
