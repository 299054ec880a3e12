package delegation_test

import (
	"os"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("an IPAM plugin is given", func() {
	const args = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web;OWN=key with spaces"
	var (
		d        *director
		b        *Box
		attached *types100.Result // of ADD
	)
	BeforeEach(func() {
		d = newDirector()
		b = d.Container()
	})

	// full is a configuration with a little of everything that others may read.
	full := func() Conf {
		return d.conf(nil).With(Conf{
			"runtimeConfig": Conf{"mac": "02:00:00:00:00:07", "ips": []string{"10.60.0.77/24"}, "aliases": Conf{"lan": []string{"web"}}},
			"args":          Conf{"cni": Conf{"ips": []string{"10.60.0.77"}}, "own": []int{1, 2}},
			"own":           Conf{"deep": []any{nil, 1.5, "text"}},
			"prevResult":    &types100.Result{CNIVersion: Newest, Interfaces: []*types100.Interface{{Name: "before"}}},
		})
	}

	DescribeTable("the whole call:", func(command string, prepare ...string) {
		run := func(command string) {
			c := full()
			if command != "ADD" {
				c["prevResult"] = attached
			}
			a := d.Run(Call{
				Plugin: "bridge", Command: command, ContainerID: b.ID, Netns: b.Path, IfName: "eth0",
				Args: args, Config: c.Stdin(),
			})
			ExpectOK(command, a)
			if command == "ADD" {
				attached = a.Result
			}
		}
		for _, earlier := range prepare {
			run(earlier)
		}
		d.calls()
		run(command)
		calls := d.calls()
		Expect(calls).To(HaveLen(1))
		want := full()
		if command != "ADD" {
			want["prevResult"] = attached
		}
		Expect(calls[0].Config).To(MatchJSON(want.Stdin()))
		calls[0].Config, calls[0].Links = nil, nil
		Expect(calls[0]).To(Equal(call{
			Command: command, ContainerID: b.ID, Netns: b.Path, IfName: "eth0", Args: args, Path: d.Bin,
			Procs: os.Getenv("GOMAXPROCS"), Files: limits(),
		}))
	},
		Entry("of ADD", "ADD"),
		Entry("of CHECK", "CHECK", "ADD"),
		Entry("of DEL", "DEL", "ADD"),
		Entry("of DEL again", "DEL", "ADD", "DEL"),
	)

	It("the user's GOMAXPROCS, not our own", func() {
		GinkgoT().Setenv("GOMAXPROCS", "3")
		ExpectOK("ADD", d.Call(b, "ADD", d.conf(nil)))
		Expect(d.calls()[0].Procs).To(Equal("3"))
	})

	It("DEL without a namespace", func() {
		ExpectOK("ADD", d.Call(b, "ADD", d.conf(nil)))
		d.calls()
		ExpectOK("DEL", d.Run(Call{
			Plugin: "bridge", Command: "DEL", ContainerID: b.ID, IfName: "eth0", Config: d.conf(nil).Stdin(),
		}))
		calls := d.calls()
		Expect(calls).To(HaveLen(1))
		Expect(calls[0].Netns).To(BeEmpty())
		Expect(calls[0].ContainerID).To(Equal(b.ID))
	})

	It("GC with the list of valid attachments, an empty one as well", func() {
		c := d.conf(nil)
		d.GC(c, b)
		d.GC(c)
		calls := d.calls()
		Expect(calls).To(HaveLen(2))
		Expect(calls[0].Command).To(Equal("GC"))
		Expect(calls[0].Config).To(MatchJSON(c.With(Conf{
			"cni.dev/valid-attachments": []Conf{{"containerID": b.ID, "ifname": "eth0"}},
		}).Stdin()))
		Expect(calls[1].Config).To(MatchJSON(c.With(Conf{"cni.dev/valid-attachments": []any{}}).Stdin()))
	})

	It("no GC where there is no list: nothing is known to be invalid", func() {
		ExpectOK("GC", d.Run(Call{Plugin: "bridge", Command: "GC", Config: d.conf(nil).Stdin()}))
		Expect(d.commands()).To(BeEmpty())
	})

	It("STATUS", func() {
		ExpectOK("STATUS", d.Status(d.conf(nil)))
		Expect(d.commands()).To(Equal("STATUS"))
	})

	It("DEL last, when the links are gone", func() {
		result := d.Add(b, d.conf(nil))
		d.calls()
		d.Del(b, d.conf(nil), result)
		calls := d.calls()
		Expect(calls).To(HaveLen(1))
		Expect(calls[0].Links).To(ContainElement(BridgeName))
		Expect(calls[0].Links).NotTo(ContainElement(result.Interfaces[1].Name))
	})
})
