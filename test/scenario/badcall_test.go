package scenario_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// The call around the configuration: environment and namespace.
var _ = DescribeTable("a call is refused", func(spoil func(*stage, *lab.Call), code int, texts ...string) {
	s := newStage()
	c := s.addCall(nil)
	spoil(s, &c)
	s.refuse(c, uint(code), texts...)
},
	Entry("unknown CNI_COMMAND", func(_ *stage, c *lab.Call) { c.Command = "ATTACH" }, 4, "CNI_COMMAND", "ATTACH"),
	Entry("CNI_IFNAME missing", func(_ *stage, c *lab.Call) { c.IfName = "" }, 4, "CNI_IFNAME"),
	Entry("CNI_IFNAME too long", func(_ *stage, c *lab.Call) { c.IfName = "sixteen-letters-" }, 4, "CNI_IFNAME", "sixteen-letters-"),
	Entry("CNI_IFNAME with a slash", func(_ *stage, c *lab.Call) { c.IfName = "../eth0" }, 4, "CNI_IFNAME", "../eth0"),
	Entry("CNI_IFNAME ..", func(_ *stage, c *lab.Call) { c.IfName = ".." }, 4, "CNI_IFNAME", ".."),
	Entry("CNI_IFNAME with a space", func(_ *stage, c *lab.Call) { c.IfName = "eth 0" }, 4, "CNI_IFNAME", "eth 0"),
	Entry("CNI_IFNAME with the kernel's own pattern", func(_ *stage, c *lab.Call) { c.IfName = "eth%d" }, 4, "CNI_IFNAME", "eth%d"),
	Entry("CNI_CONTAINERID missing", func(_ *stage, c *lab.Call) { c.ContainerID = "" }, 4, "CNI_CONTAINERID"),
	Entry("CNI_CONTAINERID with a slash", func(_ *stage, c *lab.Call) { c.ContainerID = "../c" }, 4, "CNI_CONTAINERID", "../c"),
	Entry("CNI_NETNS missing", func(_ *stage, c *lab.Call) { c.Netns = "" }, 4, "CNI_NETNS"),
	Entry("unknown key in CNI_ARGS", func(_ *stage, c *lab.Call) { c.Args = "COLOUR=red" }, 4, "CNI_ARGS", "COLOUR"),
	Entry("CNI_ARGS without =", func(_ *stage, c *lab.Call) { c.Args = "IgnoreUnknown=1;COLOUR" }, 4, "CNI_ARGS", "COLOUR"),
	Entry("bad IP in CNI_ARGS", func(_ *stage, c *lab.Call) { c.Args = "IP=mine" }, 4, "IP", "mine"),
	Entry("CNI_NETNS that is not there", func(s *stage, c *lab.Call) { c.Netns = filepath.Join(s.dir, "none") }, 8, "CNI_NETNS", "/none"),
	Entry("CNI_NETNS a plain file", func(s *stage, c *lab.Call) {
		c.Netns = filepath.Join(s.dir, "file")
		Expect(os.WriteFile(c.Netns, nil, 0o644)).To(Succeed())
	}, 8, "CNI_NETNS", "/file"),
	Entry("CNI_NETNS a directory", func(s *stage, c *lab.Call) { c.Netns = s.dir }, 8, "CNI_NETNS"),
	Entry("CNI_NETNS a namespace of another kind", func(_ *stage, c *lab.Call) { c.Netns = "/proc/self/ns/mnt" }, 8, "CNI_NETNS", "/proc/self/ns/mnt"),
	Entry("CNI_NETNS the host's own", func(s *stage, c *lab.Call) { c.Netns = s.host.Path }, 8, "CNI_NETNS"),
)

var _ = Describe("a call is refused", func() {
	It("with a bad MAC in CNI_ARGS", func() {
		s := newStage()
		c := s.addCall(nil)
		c.Args = "MAC=zz"
		before := s.settled()
		a := s.run(c)
		Expect(a.Err).NotTo(BeNil())
		// It is an environment variable, and a value of the configuration as well.
		Expect(a.Err.Code).To(Or(BeEquivalentTo(4), BeEquivalentTo(7)))
		expectError(a, a.Err.Code, "MAC", "zz")
		s.expectEqual(before)
	})

	It("where the interface's name is taken", func() {
		s := newStage()
		c := s.addCall(nil)
		b := &box{Space: s.space("taken")}
		c.Netns = b.Path
		Expect(lab.Wire(b.Space, "eth0", "", s.outside, "taken", "")).To(Succeed())
		s.refuse(c, 101, "eth0")
		Expect(hasLink(b.Space, "eth0")).To(BeTrue())
	})

	It("where the same attachment lives", func() {
		s := newStage()
		b, _ := s.attach(s.bridge(subnetV4))
		before := s.settled()
		expectError(s.call(b, "ADD", s.bridge(subnetV4)), 101, "eth0")
		s.expectEqual(before)
		_, err := b.Ping(gatewayV4, patience)
		Expect(err).NotTo(HaveOccurred(), "the living one still works")
	})

	It("as CHECK below 0.4.0, GC and STATUS below 1.1.0", func() {
		s := newStage()
		for command, version := range map[string]string{"CHECK": "0.3.1", "GC": "1.0.0", "STATUS": "1.0.0"} {
			c := s.addCall(conf{"cniVersion": version})
			c.Command = command
			s.refuse(c, 1, "cniVersion", version, command)
		}
	})
})

var _ = Describe("the host's own namespace", func() {
	It("may be attached with CNI_NETNS_OVERRIDE", func() {
		s := newStage()
		c := s.addCall(nil)
		c.Netns, c.Env = s.host.Path, []string{"CNI_NETNS_OVERRIDE=1"}
		expectOK("ADD", s.run(c))
		Expect(addrs(s.host, "eth0")).To(ConsistOf(firstV4 + "/24"))
		c.Command = "DEL"
		expectOK("DEL", s.run(c))
		Expect(hasLink(s.host, "eth0")).To(BeFalse())
	})
})
