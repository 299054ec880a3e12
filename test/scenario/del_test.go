package scenario_test

import (
	"os"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	types100 "github.com/containernetworking/cni/pkg/types/100"

	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// pair is the usual chain, called plugin by plugin.
type pair struct {
	*stage
	bridge, portmap conf
}

func newPair() *pair {
	GinkgoHelper()
	s := newStage()
	return &pair{
		stage:   s,
		bridge:  s.bridge(subnetV4, subnetV6),
		portmap: conf{"type": "portmap", "runtimeConfig": conf{"portMappings": webPorts()}},
	}
}

// add attaches and returns what a runtime would keep.
func (p *pair) add(b *box) *types100.Result {
	GinkgoHelper()
	a := p.call(b, "ADD", p.bridge)
	expectOK("ADD", a)
	a = p.call(b, "ADD", p.portmap.with(conf{"prevResult": a.Result}))
	expectOK("ADD", a)
	return a.Result
}

// del runs both plugins in the order of a DEL, each with the change to its
// configuration and to the call.
func (p *pair) del(b *box, change conf, alter func(*lab.Call)) {
	GinkgoHelper()
	for _, c := range []conf{p.portmap, p.bridge} {
		call := lab.Call{
			Plugin: c["type"].(string), Command: "DEL", ContainerID: b.id, Netns: b.Path, IfName: "eth0",
			Config: c.with(change).stdin(),
		}
		if alter != nil {
			alter(&call)
		}
		expectOK("DEL", p.run(call))
	}
}

// warm is the state that a first attachment leaves on the host.
func (p *pair) warm() snapshot.Snapshot {
	GinkgoHelper()
	b := p.container()
	result := p.add(b)
	p.settled()
	p.del(b, conf{"prevResult": result}, nil)
	return p.settled()
}

// A runtime sends what it has left, when it has it, as often as it likes. Each entry
// gets an attached container and may spoil something; then comes DEL.
var _ = DescribeTable("DEL leaves nothing and succeeds, twice",
	func(spoil func(p *pair, b *box) (conf, func(*lab.Call))) {
		p := newPair()
		before := p.warm()
		b := p.container()
		result := p.add(b)
		change, alter := spoil(p, b)
		if _, told := change["prevResult"]; !told {
			change = change.with(conf{"prevResult": result})
		}
		for range 2 {
			p.del(b, change, alter)
			p.expectEqual(before)
		}
	},
	Entry("with everything in place", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{}, nil
	}),
	Entry("with an empty CNI_NETNS", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{}, func(c *lab.Call) { c.Netns = "" }
	}),
	Entry("after the namespace is gone", func(_ *pair, b *box) (conf, func(*lab.Call)) {
		Expect(b.Close()).To(Succeed())
		return conf{}, nil
	}),
	Entry("after a reboot left a plain file for the namespace", func(_ *pair, b *box) (conf, func(*lab.Call)) {
		Expect(b.Close()).To(Succeed())
		Expect(os.WriteFile(b.Path, nil, 0o444)).To(Succeed())
		DeferCleanup(os.Remove, b.Path)
		return conf{}, nil
	}),
	Entry("with a directory for the namespace", func(p *pair, _ *box) (conf, func(*lab.Call)) {
		return conf{}, func(c *lab.Call) { c.Netns = p.dir }
	}),
	Entry("with a namespace of another kind", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{}, func(c *lab.Call) { c.Netns = "/proc/self/ns/mnt" }
	}),
	Entry("without prevResult", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{"prevResult": nil}, nil
	}),
	Entry("without prevResult and port mappings", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{"prevResult": nil, "runtimeConfig": nil}, nil
	}),
	Entry("with nothing but the names", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{"prevResult": nil, "runtimeConfig": nil}, func(c *lab.Call) { c.Netns = "" }
	}),
	Entry("with other port mappings", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{"runtimeConfig": conf{"portMappings": []any{port("tcp", 9999, 99)}}}, nil
	}),
	Entry("with a changed bridge, without masquerading", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{"bridge": "other0", "ipMasq": false, "hairpinMode": false, "mtu": 1400}, nil
	}),
	Entry("with ranges that are no longer given", func(p *pair, _ *box) (conf, func(*lab.Call)) {
		return conf{"ipam": conf{"type": "host-local", "dataDir": p.data()}}, nil
	}),
	Entry("with values that ADD would refuse", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{
			"mtu": -1, "hairpinMode": true, "promiscMode": true, "vlan": 5000,
			"runtimeConfig": conf{"portMappings": []any{port("icmp", 0, 70000)}, "mac": "zz"},
		}, nil
	}),
	Entry("with a prevResult of nonsense", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{"prevResult": conf{"cniVersion": "1.1.0", "ips": []any{conf{"address": "nowhere"}}}}, nil
	}),
	Entry("with unknown CNI_ARGS", func(*pair, *box) (conf, func(*lab.Call)) {
		return conf{}, func(c *lab.Call) { c.Args = "COLOUR=red" }
	}),
	Entry("after the leases are lost", func(p *pair, _ *box) (conf, func(*lab.Call)) {
		Expect(os.RemoveAll(p.data())).To(Succeed())
		return conf{}, nil
	}),
	Entry("after the container's link is deleted", func(_ *pair, b *box) (conf, func(*lab.Call)) {
		deleteLink(b.Space, "eth0")
		return conf{}, nil
	}),
)

var _ = Describe("DEL", func() {
	It("of what never was, on a host that never saw us, changes nothing", func() {
		p := newPair()
		virgin := p.settled()
		b := p.container()
		p.del(b, conf{}, nil)
		p.expectEqual(virgin)
		p.del(b, conf{}, func(c *lab.Call) { c.Netns = "" })
		p.expectEqual(virgin)
		Expect(hasLink(p.host, bridgeName)).To(BeFalse())
	})

	It("with a changed subnet takes the old gateway along, which was the last thing there", func() {
		p := newPair()
		virgin := p.settled()
		b := p.container()
		result := p.add(b)
		p.bridge = p.bridge.with(conf{"ipam": p.ipam("10.77.0.0/24")})
		for range 2 {
			p.del(b, conf{"prevResult": result}, nil)
			Expect(addrs(p.host, bridgeName)).To(BeEmpty())
		}
		p.gc([]any{})
		p.expectEqual(virgin)
	})

	It("leaves alone a namespace that took over the path, and its eth0", func() {
		p := newPair()
		p.warm()
		b := p.container()
		result := p.add(b)
		Expect(b.Close()).To(Succeed())
		heir, err := lab.NewSpace(b.Name)
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(heir.Close)
		Expect(lab.Wire(heir, "eth0", "", p.outside, "heir", "")).To(Succeed())
		p.del(b, conf{"prevResult": result}, nil)
		Expect(hasLink(heir, "eth0")).To(BeTrue(), "an interface of somebody else")
	})

	It("of one holder leaves the address and the port to the next one", func() {
		p := newPair()
		p.warm()
		first := p.container()
		result := p.add(first)
		p.del(first, conf{"prevResult": result}, nil)
		next := p.container()
		// The pool hands out another address first: ask for the very same.
		p.bridge = p.bridge.with(conf{"args": conf{"cni": conf{"ips": []string{result.IPs[0].Address.IP.String()}}}})
		p.add(next)
		before := p.settled()
		p.del(first, conf{"prevResult": result}, nil)
		p.expectEqual(before)
	})
})
