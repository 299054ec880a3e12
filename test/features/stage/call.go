package stage

import (
	"bytes"
	"encoding/json"
	"io"
	"net"
	"net/netip"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// Drift is the error code of a CHECK that found a difference, Conflict the one of
// something that is held by others.
const (
	Drift    = 103
	Conflict = 101
)

// Call runs one plugin for the container's eth0, without libcni between.
func (s *Stage) Call(b *Box, command string, c Conf) lab.Answer {
	ginkgo.GinkgoHelper()
	return s.CallAs(b, "eth0", command, c)
}

// CallAs is Call for another interface.
func (s *Stage) CallAs(b *Box, ifName, command string, c Conf) lab.Answer {
	ginkgo.GinkgoHelper()
	return s.Run(lab.Call{
		Plugin: c.plugin(), Command: command, ContainerID: b.ID, Netns: b.Path, IfName: ifName, Config: c.Stdin(),
	})
}

func (c Conf) plugin() string {
	ginkgo.GinkgoHelper()
	plugin, ok := c["type"].(string)
	gomega.Expect(ok).To(gomega.BeTrue(), "the configuration lacks a type")
	return plugin
}

// Run runs one plugin.
func (s *Stage) Run(c lab.Call) lab.Answer {
	ginkgo.GinkgoHelper()
	c.Env = append(c.Env, s.Env...)
	answer, err := s.Host.CNI(s.Bin, c)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	return answer
}

// Attach runs ADD for a new container and wants it to work.
func (s *Stage) Attach(c Conf) (*Box, *types100.Result) {
	ginkgo.GinkgoHelper()
	b := s.Container()
	return b, s.Add(b, c)
}

// Add runs ADD and wants it to work.
func (s *Stage) Add(b *Box, c Conf) *types100.Result {
	ginkgo.GinkgoHelper()
	a := s.Call(b, "ADD", c)
	ExpectOK("ADD", a)
	return a.Result
}

// Check is CHECK with the result of ADD.
func (s *Stage) Check(b *Box, c Conf, result *types100.Result) lab.Answer {
	ginkgo.GinkgoHelper()
	return s.Call(b, "CHECK", c.With(Conf{"prevResult": result}))
}

// Del runs DEL as a runtime does that kept the result, and wants it to work.
func (s *Stage) Del(b *Box, c Conf, result *types100.Result) {
	ginkgo.GinkgoHelper()
	ExpectOK("DEL", s.Call(b, "DEL", c.With(Conf{"prevResult": result})))
}

// Status is STATUS.
func (s *Stage) Status(c Conf) lab.Answer {
	ginkgo.GinkgoHelper()
	return s.Run(lab.Call{Plugin: c.plugin(), Command: "STATUS", Config: c.Stdin()})
}

// GC collects all attachments of the network but the given ones, and wants it to work.
func (s *Stage) GC(c Conf, valid ...*Box) {
	ginkgo.GinkgoHelper()
	list := []Conf{}
	for _, b := range valid {
		list = append(list, Conf{"containerID": b.ID, "ifname": "eth0"})
	}
	c = c.With(Conf{"runtimeConfig": nil, "cni.dev/valid-attachments": list})
	ExpectOK("GC", s.Run(lab.Call{Plugin: c.plugin(), Command: "GC", Config: c.Stdin()}))
}

// ExpectOK wants success, and from verbs other than ADD silence.
func ExpectOK(command string, a lab.Answer) {
	ginkgo.GinkgoHelper()
	gomega.Expect(a.Exit).To(gomega.BeZero(), "%s: %s%s", command, a.Stdout, a.Stderr)
	if command == "ADD" {
		gomega.Expect(a.Result).NotTo(gomega.BeNil(), "stdout: %s", a.Stdout)
	} else {
		gomega.Expect(string(a.Stdout)).To(gomega.BeEmpty())
	}
}

// ExpectError wants a failure told as the specification says: one error object on
// stdout. texts are what a person needs to find in the message.
func ExpectError(a lab.Answer, code uint, texts ...string) {
	ginkgo.GinkgoHelper()
	gomega.Expect(a.Exit).NotTo(gomega.BeZero(), "succeeded: %s", a.Stdout)
	var wire struct {
		Code uint   `json:"code"`
		Msg  string `json:"msg"`
	}
	d := json.NewDecoder(bytes.NewReader(a.Stdout))
	gomega.Expect(d.Decode(&wire)).To(gomega.Succeed(), "stdout: %s%s", a.Stdout, a.Stderr)
	_, err := d.Token()
	gomega.Expect(err).To(gomega.MatchError(io.EOF), "more than one object on stdout: %s", a.Stdout)
	gomega.Expect(wire.Code).To(gomega.Equal(code), "code of: %s", wire.Msg)
	for _, text := range texts {
		gomega.Expect(wire.Msg).To(gomega.ContainSubstring(text))
	}
}

// Serve answers on both families until the spec ends.
func Serve(s *lab.Space, protocol string, number uint16) {
	ginkgo.GinkgoHelper()
	for _, any := range []netip.Addr{netip.IPv4Unspecified(), netip.IPv6Unspecified()} {
		server, err := s.Serve(protocol, netip.AddrPortFrom(any, number).String())
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
		ginkgo.DeferCleanup(server.Close)
	}
}

// ExpectSeen asks a server from the space and wants it to see one of the addresses;
// without any it only wants an answer.
func ExpectSeen(from *lab.Space, addr, port string, as ...string) {
	ginkgo.GinkgoHelper()
	seen, err := from.Ask("tcp", net.JoinHostPort(addr, port), Patience)
	gomega.Expect(err).NotTo(gomega.HaveOccurred())
	if len(as) > 0 {
		gomega.Expect(as).To(gomega.ContainElement(netip.MustParseAddrPort(seen).Addr().Unmap().String()), "the client as the server sees it")
	}
}

// ExpectRefused wants no answer.
func ExpectRefused(from *lab.Space, addr, port string) {
	ginkgo.GinkgoHelper()
	seen, err := from.Ask("tcp", net.JoinHostPort(addr, port), Haste)
	gomega.Expect(err).To(gomega.HaveOccurred(), "the server answered %q", seen)
}

// ExpectPing wants each address to answer.
func ExpectPing(from *lab.Space, addrs ...string) {
	ginkgo.GinkgoHelper()
	for _, addr := range addrs {
		_, err := from.Ping(addr, Patience)
		gomega.Expect(err).NotTo(gomega.HaveOccurred())
	}
}

// ExpectSilence wants no answer to a ping.
func ExpectSilence(from *lab.Space, addr string) {
	ginkgo.GinkgoHelper()
	rtt, err := from.Ping(addr, Haste)
	gomega.Expect(err).To(gomega.HaveOccurred(), "%s answered in %v", addr, rtt)
}
