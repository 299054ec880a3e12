package delegation_test

import (
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	tryLater   = 11
	notReady   = 50
	ipamFailed = 104
	ownCode    = 142
)

func failure(code uint, msg string) string {
	return string(Encode(Conf{"cniVersion": Newest, "code": code, "msg": msg, "details": "for people"}))
}

var _ = Describe("what an IPAM plugin answers", func() {
	var d *director
	BeforeEach(func() { d = newDirector() })

	It("is what the container gets", func() {
		c := d.conf(nil)
		b, result := d.Attach(c)
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.77/24"))
		Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via "+GatewayV4, "192.0.2.0/24 via "+GatewayV4))
		Expect(result.DNS.Nameservers).To(Equal([]string{"192.0.2.53"}))
		Expect(result.Interfaces).To(HaveLen(3))
		Expect(*result.IPs[0].Interface).To(Equal(2))
		ExpectPing(b.Space, GatewayV4)
		ExpectOK("CHECK", d.Check(b, c, result))
		Expect(d.commands()).To(Equal("ADD CHECK"))
	})

	It("may be in an older version", func() {
		b, _ := d.Attach(d.conf(map[string]behavior{"ADD": {
			Print: `{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.60.0.9/24", "gateway": "10.60.0.1"}]}`,
		}}))
		Expect(Addrs(b.Space, "eth0")).To(ConsistOf("10.60.0.9/24"))
	})

	It("may name interfaces of its own, which are not the container's", func() {
		b, result := d.Attach(d.conf(map[string]behavior{"ADD": {
			Print: `{"cniVersion": "1.1.0", "interfaces": [{"name": "pool"}], "ips": [{"interface": 0, "address": "10.60.0.9/24"}]}`,
		}}))
		Expect(result.Interfaces).To(HaveLen(3))
		Expect(*result.IPs[0].Interface).To(Equal(2))
		ExpectPing(b.Space, GatewayV4)
	})

	DescribeTable("to ADD, where it is no address, is an error, and nothing is left:", func(ordered behavior, code uint, texts ...string) {
		warm, result := d.Attach(d.conf(nil))
		d.Settled()
		d.Del(warm, d.conf(nil), result)
		before := d.Settled()
		d.calls()

		b := d.Container()
		ExpectError(d.Call(b, "ADD", d.conf(map[string]behavior{"ADD": ordered})), code, append(texts, fakeName)...)
		Expect(d.commands()).To(Equal("ADD DEL"), "it may have leased something all the same")
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		d.ExpectEqual(before)
	},
		Entry("an error with a code of the specification", behavior{Print: failure(tryLater, "pool is busy"), Exit: 1}, uint(tryLater), "pool is busy"),
		Entry("an error with a code of its own", behavior{Print: failure(ownCode, "no address for you"), Exit: 1}, uint(ownCode), "no address for you"),
		Entry("an error without a code", behavior{Print: `{"msg": "oops"}`, Exit: 1}, uint(ipamFailed), "oops"),
		Entry("an error in words", behavior{Print: "Traceback: oops", Exit: 2}, uint(ipamFailed)),
		Entry("an error without a word", behavior{Exit: 1}, uint(ipamFailed)),
		Entry("no address", behavior{Print: `{"cniVersion": "1.1.0", "ips": []}`}, uint(ipamFailed), "without an address"),
		Entry("an empty object", behavior{Print: `{}`}, uint(ipamFailed)),
		Entry("nothing", behavior{}, uint(ipamFailed)),
		Entry("garbage", behavior{Print: "\x00\xff{{{"}, uint(ipamFailed)),
		Entry("a list", behavior{Print: `[]`}, uint(ipamFailed)),
		Entry("an address that is none", behavior{Print: `{"cniVersion": "1.1.0", "ips": [{"address": "10.60.0.300/24"}]}`}, uint(ipamFailed)),
		Entry("an address that is missing", behavior{Print: `{"cniVersion": "1.1.0", "ips": [{"gateway": "10.60.0.1"}]}`}, uint(ipamFailed)),
		Entry("an address that is null", behavior{Print: `{"cniVersion": "1.1.0", "ips": [null]}`}, uint(ipamFailed)),
		Entry("a route that is null", behavior{Print: `{"cniVersion": "1.1.0", "ips": [{"address": "10.60.0.9/24"}], "routes": [null]}`}, uint(ipamFailed)),
		Entry("an unknown version", behavior{Print: `{"cniVersion": "9.9.9", "ips": [{"address": "10.60.0.9/24"}]}`}, uint(ipamFailed)),
		Entry("half an answer, and killed", behavior{Print: `{"cniVersion": "1.1.0", "ips": [`, Signal: unix.SIGKILL}, uint(ipamFailed), "killed"),
		Entry("a whole answer, and killed", behavior{Print: usualAnswer, Signal: unix.SIGTERM}, uint(ipamFailed), "terminated"),
		Entry("nothing, and killed", behavior{Signal: unix.SIGKILL}, uint(ipamFailed), "killed"),
		Entry("four megabytes", behavior{Print: "yes\n", Times: 1 << 20}, uint(ipamFailed)),
	)

	It("is given back where the kernel has no place for it", func() {
		Inside(d.Host, func() error { // an administrator's bridge in another network
			bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: BridgeName}}
			if err := netlink.LinkAdd(bridge); err != nil {
				return err
			}
			return netlink.AddrAdd(bridge, ParseAddr("10.99.0.1/24"))
		})
		b := d.Container()
		ExpectError(d.Call(b, "ADD", d.conf(nil)), Conflict, "10.99.0.1/24", GatewayV4)
		calls := d.calls()
		Expect(calls).To(HaveLen(2))
		Expect(calls[1].Command).To(Equal("DEL"))
		Expect(calls[1].Config).To(MatchJSON(calls[0].Config))
		Expect(calls[1].ContainerID).To(Equal(b.ID))
		Expect(calls[1].Netns).To(Equal(b.Path))
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	})

	It("is told, both times, where giving it back fails too", func() {
		b := d.Container()
		a := d.Call(b, "ADD", d.conf(map[string]behavior{
			"ADD": {Print: failure(tryLater, "pool is busy"), Exit: 1},
			"DEL": {Print: failure(ownCode, "pool is gone"), Exit: 1},
		}))
		ExpectError(a, tryLater, "pool is busy", "pool is gone")
	})
})

var _ = DescribeTable("an IPAM plugin's error keeps its code at", func(command string) {
	d := newDirector()
	b, result := d.Attach(d.conf(nil))
	c := d.conf(map[string]behavior{command: {Print: failure(ownCode, "not today"), Exit: 1}}).With(Conf{"prevResult": result})
	if command == "GC" {
		c["cni.dev/valid-attachments"] = []any{}
	}
	ExpectError(d.Call(b, command, c), ownCode, fakeName, "not today")
},
	Entry("CHECK", "CHECK"), Entry("DEL", "DEL"), Entry("GC", "GC"), Entry("STATUS", "STATUS"),
)

var _ = Describe("an IPAM plugin that fails", func() {
	var d *director
	BeforeEach(func() { d = newDirector() })

	It("at DEL does not keep the link, and DEL may come again", func() {
		b, result := d.Attach(d.conf(nil))
		c := d.conf(map[string]behavior{"DEL": {Print: failure(tryLater, "pool is busy"), Exit: 1}})
		ExpectError(d.Call(b, "DEL", c.With(Conf{"prevResult": result})), tryLater, "pool is busy")
		Expect(HasLink(b.Space, "eth0")).To(BeFalse())
		Expect(HasLink(d.Host, result.Interfaces[1].Name)).To(BeFalse())
		d.calls()
		d.Del(b, d.conf(nil), result)
		Expect(d.commands()).To(Equal("DEL"))
	})

	It("at GC does not keep the links of others", func() {
		lost, result := d.Attach(d.conf(nil))
		c := d.conf(map[string]behavior{"GC": {Signal: unix.SIGKILL}}).With(Conf{"cni.dev/valid-attachments": []any{}})
		ExpectError(d.Call(lost, "GC", c), ipamFailed, "killed")
		Expect(HasLink(d.Host, result.Interfaces[1].Name)).To(BeFalse())
	})

	It("at STATUS with the specification's code is not ready", func() {
		c := d.conf(map[string]behavior{"STATUS": {Print: failure(notReady, "no pool"), Exit: 1}})
		ExpectError(d.Status(c), notReady, "no pool")
	})

	It("at CHECK is asked after the kernel was: a drift comes first", func() {
		c := d.conf(map[string]behavior{"CHECK": {Print: failure(ownCode, "not mine"), Exit: 1}})
		b, result := d.Attach(c)
		Change(b.Space, "eth0", netlink.LinkSetDown)
		ExpectError(d.Check(b, c, result), Drift, "eth0")
	})
})
