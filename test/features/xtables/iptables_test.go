package xtables_test

import (
	"errors"
	"os"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// compatible is the usual configuration with iptables as the reference uses it.
func compatible(s *Stage) Conf {
	return s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasqBackend": "iptables"})
}

var _ = DescribeTableSubtree("ipMasqBackend iptables over", func(variant string) {
	var (
		s *Stage
		x Xtables
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		x = NewXtables(s, variant)
	})

	It("writes the rules of the reference, and leaves what it leaves", func() {
		twin := NewStage(GinkgoT())
		twin.Bin, twin.Env = Reference(GinkgoT(), "bridge", "host-local"), s.Env
		ours, result := s.Attach(compatible(s))
		theirs := twin.Container()
		theirs.ID = ours.ID // rules are named after it
		twin.Add(theirs, compatible(twin))
		Expect(x.Attachments(s.Host)).To(HaveLen(8), "a chain, two rules and a jump for each family")
		x.ExpectTwins(s.Host, twin.Host, Families...)

		s.Del(ours, compatible(s), result)
		ExpectOK("DEL", twin.Call(theirs, "DEL", compatible(twin)))
		x.ExpectTwins(s.Host, twin.Host, Families...)
		Expect(x.Attachments(s.Host)).To(BeEmpty())
	})

	It("masquerades, but not towards neighbours", func() {
		b, _ := s.Attach(compatible(s))
		neighbour, _ := s.Attach(compatible(s))
		Serve(s.Outside, "tcp", 7000)
		Serve(neighbour.Space, "tcp", 80)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6)
		ExpectSeen(b.Space, "tcp", SecondV4, "80", FirstV4)
		ExpectSeen(b.Space, "tcp", SecondV6, "80", FirstV6)
	})

	DescribeTable("DEL leaves nothing", func(del func(*Box) Call) {
		b, result := s.Attach(compatible(s))
		s.Settled()
		s.Del(b, compatible(s), result)
		before := s.Settled()
		b, _ = s.Attach(compatible(s))
		call := del(b)
		for range 2 { // it may come again
			ExpectOK("DEL", s.Run(call))
			s.ExpectEqual(before)
			Expect(x.Attachments(s.Host)).To(BeEmpty())
		}
	},
		Entry("without the result of ADD", func(b *Box) Call { return delOf(b, b.Path, compatible(s)) }),
		Entry("without namespace", func(b *Box) Call { return delOf(b, "", compatible(s)) }),
		Entry("with a namespace that is gone", func(b *Box) Call {
			Expect(b.Close()).To(Succeed())
			return delOf(b, b.Path, compatible(s))
		}),
		Entry("with the lease gone, too", func(b *Box) Call {
			Expect(os.Remove(s.Lease(FirstV4))).To(Or(Succeed(), MatchError(os.ErrNotExist)))
			Expect(os.RemoveAll(s.Data())).To(Succeed())
			return delOf(b, "", compatible(s))
		}),
		Entry("after the other backend was configured", func(b *Box) Call {
			return delOf(b, b.Path, s.Bridge(SubnetV4, SubnetV6))
		}),
		Entry("after masquerading was switched off", func(b *Box) Call {
			return delOf(b, b.Path, s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasq": nil}))
		}),
	)

	It("keeps the masquerade of the container's other interface", func() {
		c := compatible(s).With(Conf{"isDefaultGateway": nil, "isGateway": true})
		b, first := s.Attach(c)
		second := s.CallAs(b, "eth1", "ADD", c)
		ExpectOK("ADD", second)
		ExpectOK("CHECK", s.Check(b, c, first))
		ExpectOK("DEL", s.CallAs(b, "eth1", "DEL", c.With(Conf{"prevResult": second.Result})))
		ExpectOK("CHECK", s.Check(b, c, first))
		Expect(b.Route("default", GatewayV4)).To(Succeed())
		Serve(s.Outside, "tcp", 7000)
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4)
		s.Del(b, c, first)
		Expect(x.Attachments(s.Host)).To(BeEmpty())
	})

	DescribeTable("CHECK names a deleted rule:", func(program string, pick func(line string) bool, texts ...string) {
		b, result := s.Attach(compatible(s))
		ExpectOK("CHECK", s.Check(b, compatible(s), result))
		x.Delete(s.Host, program, pick)
		Expect(strings.Split(x.Saved(s.Host, program), "\n")).NotTo(ContainElement(Satisfy(pick)), "there was one")
		ExpectError(s.Check(b, compatible(s), result), Drift, texts...)
		s.Del(b, compatible(s), result)
		Expect(x.Attachments(s.Host)).To(BeEmpty())
	},
		Entry("the jump", "iptables", contains("POSTROUTING", "-j CNI-"), "POSTROUTING", FirstV4),
		Entry("the jump of IPv6", "ip6tables", contains("POSTROUTING", "-j CNI-"), "POSTROUTING", FirstV6),
		Entry("the subnet's exception", "iptables", contains("-j ACCEPT"), "10.60.0.0/24", "ACCEPT"),
		Entry("the masquerade", "iptables", contains("-j MASQUERADE"), "224.0.0.0/4", "MASQUERADE"),
		Entry("the masquerade of IPv6", "ip6tables", contains("-j MASQUERADE"), "ff00::/8", "MASQUERADE"),
	)

	It("leaves nothing of a failed ADD whose rules of IPv4 were written already", func() {
		b, result := s.Attach(Publishing(compatible(s).With(Conf{"backend": "iptables"}), Port("tcp", 8080, 80)))
		s.Del(b, compatible(s), result)
		before := s.Settled()
		broken := x.Path("ip6tables-restore")
		Expect(errors.Join(os.Remove(broken), os.WriteFile(broken, []byte("#!/bin/sh\necho no room >&2\nexit 4\n"), 0o755))).To(Succeed())
		for _, c := range []Conf{compatible(s), Publishing(compatible(s).With(Conf{"ipMasq": false, "backend": "iptables"}), Port("tcp", 8080, 80))} {
			a := s.Call(s.Container(), "ADD", c)
			Expect(a.Err).NotTo(BeNil(), "%s", a.Stdout)
			ExpectError(a, a.Err.Code, "no room")
			s.ExpectEqual(before)
		}
	})

	It("is refused where it is not installed, and nothing is left", func() {
		b, result := s.Attach(compatible(s))
		s.Settled()
		s.Del(b, compatible(s), result)
		before := s.Settled()
		// The plugin looks into these whatever PATH says.
		hide("/usr/sbin", "/sbin", "/usr/local/sbin")
		s.Env = []string{"PATH=/nowhere"}
		late := s.Container()
		a := s.Call(late, "ADD", compatible(s))
		Expect(a.Err).NotTo(BeNil(), "%s", a.Stdout)
		ExpectError(a, a.Err.Code, "iptables is not installed")
		ExpectError(s.Status(compatible(s)), 50, "iptables is not installed")
		s.ExpectEqual(before)
		Expect(HasLink(late.Space, "eth0")).To(BeFalse())
	})
},
	Entry("nf_tables", "nft"),
	Entry("legacy tables", "legacy"),
)

func contains(parts ...string) func(string) bool {
	return func(line string) bool {
		for _, p := range parts {
			if !strings.Contains(line, p) {
				return false
			}
		}
		return true
	}
}

func delOf(b *Box, netns string, c Conf) Call {
	return Call{Plugin: "bridge", Command: "DEL", ContainerID: b.ID, Netns: netns, IfName: "eth0", Config: c.Stdin()}
}

// hide covers directories by empty ones until the spec ends. Mounts are this program's
// own: the machine sees nothing of it.
func hide(dirs ...string) {
	GinkgoHelper()
	for _, dir := range dirs {
		if err := unix.Mount("hide", dir, "tmpfs", unix.MS_RDONLY, ""); !errors.Is(err, os.ErrNotExist) {
			Expect(err).NotTo(HaveOccurred())
			DeferCleanup(unix.Unmount, dir, unix.MNT_DETACH)
		}
	}
}
