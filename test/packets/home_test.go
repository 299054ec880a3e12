package packets_test

import (
	"fmt"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// home is a host whose containers get their rules by one backend.
type home struct {
	*Stage
	backend       backend
	masquerade    string // bridge's backend, where it is another one
	forwardAccept bool
	address       []string // what the next container asks for, if anything
}

func newHome(b backend) *home {
	GinkgoHelper()
	h := &home{Stage: NewStage(GinkgoT()), backend: b}
	if b.xtables != "" {
		NewXtables(h.Stage, b.xtables)
	}
	return h
}

// resident is a container with published ports.
type resident struct {
	*Box
	home        *home
	result      *types100.Result
	lan, ports  Conf
	servedBy    *Server // at port 80, over TCP and IPv4
	portMapping []map[string]any
}

func (h *home) lan() Conf {
	masquerade := h.backend.name
	if h.masquerade != "" {
		masquerade = h.masquerade
	}
	c := h.Bridge(SubnetV4, SubnetV6).With(Conf{"hairpinMode": true, "ipMasqBackend": masquerade, "forwardAccept": h.forwardAccept})
	if len(h.address) > 0 {
		c["runtimeConfig"] = Conf{"ips": h.address}
	}
	return c
}

// moveIn attaches a container and publishes its ports.
func (h *home) moveIn(ports ...map[string]any) *resident {
	GinkgoHelper()
	r := &resident{Box: h.Container(), home: h, lan: h.lan(), portMapping: ports}
	r.add()
	r.servedBy = serveOn(r.Space, "tcp", "0.0.0.0:80")
	return r
}

func (r *resident) add() {
	GinkgoHelper()
	r.result = r.home.Add(r.Box, r.lan)
	r.ports = Chained(r.home.backend.name, r.result, r.portMapping...)
	ExpectOK("ADD", r.home.Call(r.Box, "ADD", r.ports))
}

// moveOut is DEL of both plugins, as a runtime does it.
func (r *resident) moveOut() {
	GinkgoHelper()
	ExpectOK("DEL", r.home.Call(r.Box, "DEL", r.ports))
	r.home.Del(r.Box, r.lan, r.result)
}

// checks are CHECK of portmap and of bridge.
func (r *resident) checks() (portmap, bridge Answer) {
	GinkgoHelper()
	return r.home.Call(r.Box, "CHECK", r.ports), r.home.Check(r.Box, r.lan, r.result)
}

// die ends the container without a DEL: its link goes with it.
func (r *resident) die() {
	GinkgoHelper()
	Expect(r.servedBy.Close()).To(Succeed()) // a socket would keep the namespace
	Expect(r.Close()).To(Succeed())
	link := r.result.Interfaces[1].Name
	Eventually(func() bool { return HasLink(r.home.Host, link) }).WithTimeout(Patience).Should(BeFalse())
}

func (r *resident) expectSound() {
	GinkgoHelper()
	portmap, bridge := r.checks()
	ExpectOK("CHECK", portmap)
	ExpectOK("CHECK", bridge)
}

// tcp is a mapping to port 80.
func tcp(port int) map[string]any { return Port("tcp", port, 80) }

// expectOpen wants the port to lead everybody to the container.
func (r *resident) expectOpen(port int) {
	GinkgoHelper()
	for _, from := range []*Space{r.home.Outside, r.home.Host, r.Space} {
		served(r.servedBy, from, HostV4, fmt.Sprint(port))
	}
	served(r.servedBy, r.home.Host, "127.0.0.1", fmt.Sprint(port))
}

// expectMasqueraded wants the container's connections to have the host's address.
func (r *resident) expectMasqueraded() {
	GinkgoHelper()
	ExpectSeen(r.Space, "tcp", OutsideV4, "7000", HostV4)
}

// expectClosed wants nobody to be led anywhere.
func (h *home) expectClosed(port int) {
	GinkgoHelper()
	for _, from := range []*Space{h.Outside, h.Host} {
		ExpectRefused(from, "tcp", HostV4, fmt.Sprint(port))
	}
	ExpectRefused(h.Host, "tcp", "127.0.0.1", fmt.Sprint(port))
}

// said is what an answer's error says.
func said(a Answer) string {
	GinkgoHelper()
	Expect(a.Exit).NotTo(BeZero(), "succeeded: %s", a.Stdout)
	Expect(a.Err).NotTo(BeNil(), "%s", a.Stdout)
	return a.Err.Msg
}
