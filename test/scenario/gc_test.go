package scenario_test

import (
	"os"
	"path/filepath"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// gc runs GC of both plugins, with the key of the valid attachments as it is given;
// nil leaves it out.
func (p *pair) gc(valid any) {
	GinkgoHelper()
	for _, c := range []conf{p.portmap, p.bridge} {
		expectOK("GC", p.run(lab.Call{
			Plugin: c["type"].(string), Command: "GC",
			Config: c.with(conf{"runtimeConfig": nil, "cni.dev/valid-attachments": valid}).stdin(),
		}))
	}
}

// valid names the containers' attachments.
func valid(boxes ...*box) []conf {
	list := []conf{}
	for _, b := range boxes {
		list = append(list, conf{"containerID": b.id, "ifname": "eth0"})
	}
	return list
}

var _ = Describe("GC", func() {
	It("removes what is not valid any more, and nothing else", func() {
		p := newPair()
		p.warm()
		stays := p.container()
		p.add(stays)
		before := p.settled()

		p.portmap["runtimeConfig"] = conf{"portMappings": []any{port("tcp", 8081, 80), on(hostV6, "udp", 8081, 80)}}
		dead, lost := p.container(), p.container()
		p.add(dead)
		Expect(dead.Close()).To(Succeed()) // its namespace went without a DEL
		p.portmap["runtimeConfig"] = conf{"portMappings": []any{port("tcp", 8082, 80)}}
		p.add(lost)

		p.gc(valid(stays))
		p.expectEqual(before)
		Expect(hasLink(stays.Space, "eth0")).To(BeTrue())
		serve(stays.Space, "tcp", 80)
		expectSeen(p.outside, "tcp", hostV4, "8080", outsideV4)
	})

	It("without a list changes nothing: no list is not an empty one", func() {
		p := newPair()
		p.add(p.container())
		before := p.settled()
		p.gc(nil)
		p.expectEqual(before)
	})

	It("of one network leaves the other's attachments alone", func() {
		p := newPair()
		p.add(p.container())
		before := p.settled()
		other := &pair{stage: p.stage, bridge: p.bridge.with(conf{"name": "other"}), portmap: p.portmap.with(conf{"name": "other"})}
		other.gc(valid())
		p.expectEqual(before)
	})

	It("with a list of nonsense is an error and changes nothing", func() {
		p := newPair()
		p.add(p.container())
		before := p.settled()
		a := p.run(lab.Call{
			Plugin: "host-local", Command: "GC",
			Config: p.bridge.with(conf{"cni.dev/valid-attachments": "all"}).stdin(),
		})
		Expect(a.Err).NotTo(BeNil(), "stdout: %s", a.Stdout)
		expectError(a, a.Err.Code)
		p.expectEqual(before)
	})
})

var _ = Describe("STATUS", func() {
	status := func(s *stage, c conf) lab.Answer {
		GinkgoHelper()
		return s.run(lab.Call{Plugin: c["type"].(string), Command: "STATUS", Config: c.stdin()})
	}

	It("is good on a host that could take a container, and changes nothing", func() {
		s := newStage()
		before := s.settled()
		expectOK("STATUS", status(s, s.bridge(subnetV4, subnetV6)))
		expectOK("STATUS", status(s, portmap()))
		s.expectEqual(before)
	})

	It("tells an exhausted pool", func() {
		s := newStage()
		c := s.bridge("10.60.0.0/30")
		s.attach(c)
		expectError(status(s, c), 50, "10.60.0.1-10.60.0.2")
	})

	It("tells leases that can't be written", func() {
		s := newStage()
		dir := filepath.Join(s.dir, "readonly")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		Expect(unix.Mount("lab", dir, "tmpfs", unix.MS_RDONLY, "")).To(Succeed())
		DeferCleanup(unix.Unmount, dir, 0)
		c := s.bridge(subnetV4).with(conf{"ipam": s.ipam(subnetV4).with(conf{"dataDir": dir})})
		expectError(status(s, c), 50, dir)
	})

	It("tells a configuration that no ADD would take", func() {
		s := newStage()
		expectError(status(s, s.bridge(subnetV4).with(conf{"mtu": -1})), 7, "mtu", "-1")
	})

	It("tells a missing IPAM plugin", func() {
		s := newStage()
		expectError(status(s, s.bridge().with(conf{"ipam": conf{"type": "no-such-ipam"}})), 50, "no-such-ipam")
	})
})
