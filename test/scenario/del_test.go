package scenario_test

import (
	"os"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// pair is the usual chain, called plugin by plugin.
type pair struct {
	*Stage
	bridge, portmap Conf
}

func newPair() *pair {
	GinkgoHelper()
	s := newStage()
	return &pair{
		Stage:   s,
		bridge:  bridge(s, SubnetV4, SubnetV6),
		portmap: Conf{"type": "portmap", "runtimeConfig": Conf{"portMappings": webPorts()}},
	}
}

// add attaches and returns what a runtime would keep.
func (p *pair) add(b *Box) *types100.Result {
	GinkgoHelper()
	a := p.Call(b, "ADD", p.bridge)
	ExpectOK("ADD", a)
	a = p.Call(b, "ADD", p.portmap.With(Conf{"prevResult": a.Result}))
	ExpectOK("ADD", a)
	return a.Result
}

// del runs both plugins in the order of a DEL, each with the change to its
// configuration and to the call.
func (p *pair) del(b *Box, change Conf, alter func(*Call)) {
	GinkgoHelper()
	for _, c := range []Conf{p.portmap, p.bridge} {
		call := Call{
			Plugin: c["type"].(string), Command: "DEL", ContainerID: b.ID, Netns: b.Path, IfName: "eth0",
			Config: c.With(change).Stdin(),
		}
		if alter != nil {
			alter(&call)
		}
		ExpectOK("DEL", p.Run(call))
	}
}

// warm is the state that a first attachment leaves on the host.
func (p *pair) warm() snapshot.Snapshot {
	GinkgoHelper()
	b := p.Container()
	result := p.add(b)
	p.Settled()
	p.del(b, Conf{"prevResult": result}, nil)
	return p.Settled()
}

// A runtime sends what it has left, when it has it, as often as it likes. Each entry
// gets an attached container and may spoil something; then comes DEL.
var _ = DescribeTable("DEL leaves nothing and succeeds, twice",
	func(spoil func(p *pair, b *Box) (Conf, func(*Call))) {
		p := newPair()
		before := p.warm()
		b := p.Container()
		result := p.add(b)
		change, alter := spoil(p, b)
		if _, told := change["prevResult"]; !told {
			change = change.With(Conf{"prevResult": result})
		}
		for range 2 {
			p.del(b, change, alter)
			p.ExpectEqual(before)
		}
	},
	Entry("with everything in place", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{}, nil
	}),
	Entry("with an empty CNI_NETNS", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{}, func(c *Call) { c.Netns = "" }
	}),
	Entry("after the namespace is gone", func(_ *pair, b *Box) (Conf, func(*Call)) {
		Expect(b.Close()).To(Succeed())
		return Conf{}, nil
	}),
	Entry("after a reboot left a plain file for the namespace", func(_ *pair, b *Box) (Conf, func(*Call)) {
		Expect(b.Close()).To(Succeed())
		Expect(os.WriteFile(b.Path, nil, 0o444)).To(Succeed())
		DeferCleanup(os.Remove, b.Path)
		return Conf{}, nil
	}),
	Entry("with a directory for the namespace", func(p *pair, _ *Box) (Conf, func(*Call)) {
		return Conf{}, func(c *Call) { c.Netns = p.Dir }
	}),
	Entry("with a namespace of another kind", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{}, func(c *Call) { c.Netns = "/proc/self/ns/mnt" }
	}),
	Entry("without prevResult", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{"prevResult": nil}, nil
	}),
	Entry("without prevResult and port mappings", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{"prevResult": nil, "runtimeConfig": nil}, nil
	}),
	Entry("with nothing but the names", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{"prevResult": nil, "runtimeConfig": nil}, func(c *Call) { c.Netns = "" }
	}),
	Entry("with other port mappings", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{"runtimeConfig": Conf{"portMappings": []any{Port("tcp", 9999, 99)}}}, nil
	}),
	Entry("with a changed bridge, without masquerading", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{"bridge": "other0", "ipMasq": false, "hairpinMode": false, "mtu": 1400}, nil
	}),
	Entry("with ranges that are no longer given", func(p *pair, _ *Box) (Conf, func(*Call)) {
		return Conf{"ipam": Conf{"type": "host-local", "dataDir": p.Data()}}, nil
	}),
	Entry("with values that ADD would refuse", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{
			"mtu": -1, "hairpinMode": true, "promiscMode": true, "vlan": 5000,
			"runtimeConfig": Conf{"portMappings": []any{Port("icmp", 0, 70000)}, "mac": "zz"},
		}, nil
	}),
	Entry("with a prevResult of nonsense", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{"prevResult": Conf{"cniVersion": "1.1.0", "ips": []any{Conf{"address": "nowhere"}}}}, nil
	}),
	Entry("with unknown CNI_ARGS", func(*pair, *Box) (Conf, func(*Call)) {
		return Conf{}, func(c *Call) { c.Args = "COLOUR=red" }
	}),
	Entry("after the leases are lost", func(p *pair, _ *Box) (Conf, func(*Call)) {
		Expect(os.RemoveAll(p.Data())).To(Succeed())
		return Conf{}, nil
	}),
	Entry("after the container's link is deleted", func(_ *pair, b *Box) (Conf, func(*Call)) {
		Change(b.Space, "eth0", netlink.LinkDel)
		return Conf{}, nil
	}),
)

var _ = Describe("DEL", func() {
	It("of what never was, on a host that never saw us, changes nothing", func() {
		p := newPair()
		virgin := p.Settled()
		b := p.Container()
		p.del(b, Conf{}, nil)
		p.ExpectEqual(virgin)
		p.del(b, Conf{}, func(c *Call) { c.Netns = "" })
		p.ExpectEqual(virgin)
		Expect(HasLink(p.Host, BridgeName)).To(BeFalse())
	})

	It("with a changed subnet takes the old gateway along, which was the last thing there", func() {
		p := newPair()
		virgin := p.Settled()
		b := p.Container()
		result := p.add(b)
		p.bridge = p.bridge.With(Conf{"ipam": p.IPAM("10.77.0.0/24")})
		for range 2 {
			p.del(b, Conf{"prevResult": result}, nil)
			Expect(Addrs(p.Host, BridgeName)).To(BeEmpty())
		}
		p.gc([]any{})
		p.ExpectEqual(virgin)
	})

	It("leaves alone a namespace that took over the path, and its eth0", func() {
		p := newPair()
		p.warm()
		b := p.Container()
		result := p.add(b)
		Expect(b.Close()).To(Succeed())
		heir := OpenSpace(GinkgoT(), b.Name)
		Expect(Wire(heir, "eth0", "", p.Outside, "heir", "")).To(Succeed())
		p.del(b, Conf{"prevResult": result}, nil)
		Expect(HasLink(heir, "eth0")).To(BeTrue(), "an interface of somebody else")
	})

	It("of one holder leaves the address and the port to the next one", func() {
		p := newPair()
		p.warm()
		first := p.Container()
		result := p.add(first)
		p.del(first, Conf{"prevResult": result}, nil)
		next := p.Container()
		// The pool hands out another address first: ask for the very same.
		p.bridge = p.bridge.With(Conf{"args": Conf{"cni": Conf{"ips": []string{result.IPs[0].Address.IP.String()}}}})
		p.add(next)
		before := p.Settled()
		p.del(first, Conf{"prevResult": result}, nil)
		p.ExpectEqual(before)
	})
})
