package scenario_test

import (
	"os"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// The call around the configuration: environment and namespace.
var _ = DescribeTable("a call is refused", func(spoil func(*Stage, *Call), code int, texts ...string) {
	s := newStage()
	c := addCall(s, nil)
	spoil(s, &c)
	refuse(s, c, uint(code), texts...)
},
	Entry("unknown CNI_COMMAND", func(_ *Stage, c *Call) { c.Command = "ATTACH" }, 4, "CNI_COMMAND", "ATTACH"),
	Entry("CNI_IFNAME missing", func(_ *Stage, c *Call) { c.IfName = "" }, 4, "CNI_IFNAME"),
	Entry("CNI_IFNAME too long", func(_ *Stage, c *Call) { c.IfName = "sixteen-letters-" }, 4, "CNI_IFNAME", "sixteen-letters-"),
	Entry("CNI_IFNAME with a slash", func(_ *Stage, c *Call) { c.IfName = "../eth0" }, 4, "CNI_IFNAME", "../eth0"),
	Entry("CNI_IFNAME ..", func(_ *Stage, c *Call) { c.IfName = ".." }, 4, "CNI_IFNAME", ".."),
	Entry("CNI_IFNAME with a space", func(_ *Stage, c *Call) { c.IfName = "eth 0" }, 4, "CNI_IFNAME", "eth 0"),
	Entry("CNI_IFNAME with the kernel's own pattern", func(_ *Stage, c *Call) { c.IfName = "eth%d" }, 4, "CNI_IFNAME", "eth%d"),
	Entry("CNI_CONTAINERID missing", func(_ *Stage, c *Call) { c.ContainerID = "" }, 4, "CNI_CONTAINERID"),
	Entry("CNI_CONTAINERID with a slash", func(_ *Stage, c *Call) { c.ContainerID = "../c" }, 4, "CNI_CONTAINERID", "../c"),
	Entry("CNI_NETNS missing", func(_ *Stage, c *Call) { c.Netns = "" }, 4, "CNI_NETNS"),
	Entry("unknown key in CNI_ARGS", func(_ *Stage, c *Call) { c.Args = "COLOUR=red" }, 4, "CNI_ARGS", "COLOUR"),
	Entry("CNI_ARGS without =", func(_ *Stage, c *Call) { c.Args = "IgnoreUnknown=1;COLOUR" }, 4, "CNI_ARGS", "COLOUR"),
	Entry("bad IP in CNI_ARGS", func(_ *Stage, c *Call) { c.Args = "IP=mine" }, 4, "IP", "mine"),
	Entry("CNI_NETNS that is not there", func(s *Stage, c *Call) { c.Netns = filepath.Join(s.Dir, "none") }, 8, "CNI_NETNS", "/none"),
	Entry("CNI_NETNS a plain file", func(s *Stage, c *Call) {
		c.Netns = filepath.Join(s.Dir, "file")
		Expect(os.WriteFile(c.Netns, nil, 0o644)).To(Succeed())
	}, 8, "CNI_NETNS", "/file"),
	Entry("CNI_NETNS a directory", func(s *Stage, c *Call) { c.Netns = s.Dir }, 8, "CNI_NETNS"),
	Entry("CNI_NETNS a namespace of another kind", func(_ *Stage, c *Call) { c.Netns = "/proc/self/ns/mnt" }, 8, "CNI_NETNS", "/proc/self/ns/mnt"),
	Entry("CNI_NETNS the host's own", func(s *Stage, c *Call) { c.Netns = s.Host.Path }, 8, "CNI_NETNS"),
)

var _ = Describe("a call is refused", func() {
	It("with a bad MAC in CNI_ARGS", func() {
		s := newStage()
		c := addCall(s, nil)
		c.Args = "MAC=zz"
		before := s.Settled()
		a := s.Run(c)
		Expect(a.Err).NotTo(BeNil())
		// It is an environment variable, and a value of the configuration as well.
		Expect(a.Err.Code).To(Or(BeEquivalentTo(4), BeEquivalentTo(7)))
		ExpectError(a, a.Err.Code, "MAC", "zz")
		s.ExpectEqual(before)
	})

	It("where the interface's name is taken", func() {
		s := newStage()
		c := addCall(s, nil)
		b := &Box{Space: s.Space("taken")}
		c.Netns = b.Path
		Expect(Wire(b.Space, "eth0", "", s.Outside, "taken", "")).To(Succeed())
		refuse(s, c, 101, "eth0")
		Expect(HasLink(b.Space, "eth0")).To(BeTrue())
	})

	It("where the same attachment lives", func() {
		s := newStage()
		b, _ := s.Attach(bridge(s, SubnetV4))
		before := s.Settled()
		ExpectError(s.Call(b, "ADD", bridge(s, SubnetV4)), 101, "eth0")
		s.ExpectEqual(before)
		_, err := b.Ping(GatewayV4, Patience)
		Expect(err).NotTo(HaveOccurred(), "the living one still works")
	})

	It("as CHECK below 0.4.0, GC and STATUS below 1.1.0", func() {
		s := newStage()
		for command, version := range map[string]string{"CHECK": "0.3.1", "GC": "1.0.0", "STATUS": "1.0.0"} {
			c := addCall(s, Conf{"cniVersion": version})
			c.Command = command
			refuse(s, c, 1, "cniVersion", version, command)
		}
	})
})

var _ = Describe("the host's own namespace", func() {
	It("may be attached with CNI_NETNS_OVERRIDE", func() {
		s := newStage()
		c := addCall(s, nil)
		c.Netns, c.Env = s.Host.Path, []string{"CNI_NETNS_OVERRIDE=1"}
		ExpectOK("ADD", s.Run(c))
		Expect(Addrs(s.Host, "eth0")).To(ConsistOf(FirstV4 + "/24"))
		c.Command = "DEL"
		ExpectOK("DEL", s.Run(c))
		Expect(HasLink(s.Host, "eth0")).To(BeFalse())
	})
})
