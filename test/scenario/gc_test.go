package scenario_test

import (
	"os"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// gc runs GC of both plugins, with the key of the valid attachments as it is given;
// nil leaves it out.
func (p *pair) gc(valid any) {
	GinkgoHelper()
	for _, c := range []Conf{p.portmap, p.bridge} {
		ExpectOK("GC", p.Run(Call{
			Plugin: c["type"].(string), Command: "GC",
			Config: c.With(Conf{"runtimeConfig": nil, "cni.dev/valid-attachments": valid}).Stdin(),
		}))
	}
}

// valid names the containers' attachments.
func valid(boxes ...*Box) []Conf {
	list := []Conf{}
	for _, b := range boxes {
		list = append(list, Conf{"containerID": b.ID, "ifname": "eth0"})
	}
	return list
}

var _ = Describe("GC", func() {
	It("removes what is not valid any more, and nothing else", func() {
		p := newPair()
		p.warm()
		stays := p.Container()
		p.add(stays)
		before := p.Settled()

		p.portmap["runtimeConfig"] = Conf{"portMappings": []any{Port("tcp", 8081, 80), On(HostV6, "udp", 8081, 80)}}
		dead, lost := p.Container(), p.Container()
		p.add(dead)
		Expect(dead.Close()).To(Succeed()) // its namespace went without a DEL
		p.portmap["runtimeConfig"] = Conf{"portMappings": []any{Port("tcp", 8082, 80)}}
		p.add(lost)

		p.gc(valid(stays))
		p.ExpectEqual(before)
		Expect(HasLink(stays.Space, "eth0")).To(BeTrue())
		Serve(stays.Space, "tcp", 80)
		ExpectSeen(p.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("without a list changes nothing: no list is not an empty one", func() {
		p := newPair()
		p.add(p.Container())
		before := p.Settled()
		p.gc(nil)
		p.ExpectEqual(before)
	})

	It("of one network leaves the other's attachments alone", func() {
		p := newPair()
		p.add(p.Container())
		before := p.Settled()
		other := &pair{Stage: p.Stage, bridge: p.bridge.With(Conf{"name": "other"}), portmap: p.portmap.With(Conf{"name": "other"})}
		other.gc(valid())
		p.ExpectEqual(before)
	})

	It("with a list of nonsense is an error and changes nothing", func() {
		p := newPair()
		p.add(p.Container())
		before := p.Settled()
		a := p.Run(Call{
			Plugin: "host-local", Command: "GC",
			Config: p.bridge.With(Conf{"cni.dev/valid-attachments": "all"}).Stdin(),
		})
		Expect(a.Err).NotTo(BeNil(), "stdout: %s", a.Stdout)
		ExpectError(a, a.Err.Code)
		p.ExpectEqual(before)
	})
})

var _ = Describe("STATUS", func() {
	status := func(s *Stage, c Conf) Answer {
		GinkgoHelper()
		return s.Run(Call{Plugin: c["type"].(string), Command: "STATUS", Config: c.Stdin()})
	}

	It("is good on a host that could take a container, and changes nothing", func() {
		s := newStage()
		before := s.Settled()
		ExpectOK("STATUS", status(s, bridge(s, SubnetV4, SubnetV6)))
		ExpectOK("STATUS", status(s, Portmap()))
		s.ExpectEqual(before)
	})

	It("tells an exhausted pool", func() {
		s := newStage()
		c := bridge(s, "10.60.0.0/30")
		s.Attach(c)
		ExpectError(status(s, c), 50, "10.60.0.1-10.60.0.2")
	})

	It("tells leases that can't be written", func() {
		s := newStage()
		dir := filepath.Join(s.Dir, "readonly")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		Expect(unix.Mount("lab", dir, "tmpfs", unix.MS_RDONLY, "")).To(Succeed())
		DeferCleanup(unix.Unmount, dir, 0)
		c := bridge(s, SubnetV4).With(Conf{"ipam": s.IPAM(SubnetV4).With(Conf{"dataDir": dir})})
		ExpectError(status(s, c), 50, dir)
	})

	It("tells a configuration that no ADD would take", func() {
		s := newStage()
		ExpectError(status(s, bridge(s, SubnetV4).With(Conf{"mtu": -1})), 7, "mtu", "-1")
	})

	It("tells a missing IPAM plugin", func() {
		s := newStage()
		ExpectError(status(s, bridge(s).With(Conf{"ipam": Conf{"type": "no-such-ipam"}})), 50, "no-such-ipam")
	})
})
