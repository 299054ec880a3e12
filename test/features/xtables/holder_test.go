package xtables_test

import (
	"fmt"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// podArgs is what a kubelet tells of a pod.
const podArgs = "IgnoreUnknown=1;K8S_POD_NAMESPACE=shop;K8S_POD_NAME=web-1"

// late is the DEL of a container whose namespace is gone.
func late(b *Box, c Conf) Call {
	return Call{Plugin: "portmap", Command: "DEL", ContainerID: b.ID, IfName: "eth0", Config: c.Stdin()}
}

var _ = DescribeTableSubtree("who has a port by", func(w way) {
	var s *Stage
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		w.use(s)
	})

	It("is named with network, container and pod", func() {
		holder, result := s.Attach(unmasqueraded(s))
		ExpectOK("ADD", s.Run(Call{
			Plugin: "portmap", Command: "ADD", ContainerID: holder.ID, Netns: holder.Path, IfName: "eth0", Args: podArgs,
			Config: w.behind(result, nil, Port("tcp", 8080, 80)).Stdin(),
		}))
		other, result := s.Attach(unmasqueraded(s))
		texts := []string{"hostPort 8080/tcp", holder.ID, NetworkName}
		if w.backend == "nftables" { // the reference's rules have no room for it
			texts = append(texts, "pod shop/web-1")
		}
		ExpectError(s.Call(other, "ADD", w.behind(result, nil, Port("tcp", 8080, 80))), Conflict, texts...)
	})

	It("is replaced when gone, and its late DEL takes nothing of the next", func() {
		old, c := w.published(s, nil, Port("tcp", 8080, 80), Port("udp", 5353, 53))
		next, result := s.Attach(unmasqueraded(s))
		wanted := w.behind(result, nil, Port("tcp", 8080, 80))
		ExpectError(s.Call(next, "ADD", wanted), Conflict, "hostPort 8080/tcp", old.ID, NetworkName)
		Expect(old.Close()).To(Succeed()) // its link goes with its namespace
		Eventually(func() int { return s.Call(next, "ADD", wanted).Exit }).WithTimeout(Patience).Should(BeZero())
		Serve(next.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
		ExpectOK("DEL", s.Run(late(old, c)))
		ExpectOK("CHECK", s.Call(next, "CHECK", wanted))
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("keeps it when another had its address before", func() {
		one := unmasqueraded(s).With(Conf{"ipam": Conf{"type": "host-local", "dataDir": s.Data(), "ranges": [][]Conf{
			{{"subnet": SubnetV4, "rangeStart": FirstV4, "rangeEnd": FirstV4}},
		}}})
		first, result := s.Attach(one)
		ports := these(Port("tcp", 8080, 80), Port("udp", 5353, 53))
		old := w.behind(result, nil, ports...)
		ExpectOK("ADD", s.Call(first, "ADD", old))
		s.Del(first, one.With(Conf{"type": "bridge"}), result) // that of portmap is lost
		second, result := s.Attach(one)
		Expect(result.IPs[0].Address.IP.String()).To(Equal(FirstV4))
		c := w.behind(result, nil, ports...)
		ExpectOK("ADD", s.Call(second, "ADD", c))
		ExpectOK("DEL", s.Run(late(first, old)))
		ExpectOK("CHECK", s.Call(second, "CHECK", c))
		Serve(second.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("may be one container in two networks", func() {
		b := s.Container()
		var calls []Conf
		for i, name := range []string{NetworkName, "wan"} {
			a := s.CallAs(b, fmt.Sprintf("eth%d", i), "ADD", unmasqueraded(s).With(Conf{
				"name": name, "bridge": name + "0", "isDefaultGateway": nil, "isGateway": true,
				"ipam": s.IPAM(fmt.Sprintf("10.%d.0.0/24", 60+i), fmt.Sprintf("fd6%d::/64", i)),
			}))
			ExpectOK("ADD", a)
			c := w.behind(a.Result, Conf{"name": name}, Port("tcp", 8080+i, 80))
			ExpectOK("ADD", s.CallAs(b, fmt.Sprintf("eth%d", i), "ADD", c))
			calls = append(calls, c)
		}
		Expect(b.Route("default", "10.61.0.1")).To(Succeed())
		Serve(b.Space, "tcp", 80)
		ExpectOK("CHECK", s.CallAs(b, "eth0", "CHECK", calls[0]))
		ExpectOK("CHECK", s.CallAs(b, "eth1", "CHECK", calls[1]))
		ExpectOK("DEL", s.CallAs(b, "eth0", "DEL", calls[0]))
		ExpectOK("CHECK", s.CallAs(b, "eth1", "CHECK", calls[1]))
		ExpectRefused(s.Outside, "tcp", HostV4, "8080")
		ExpectSeen(s.Outside, "tcp", HostV4, "8081", OutsideV4)
	})

	It("has it from the other backend, too", func() {
		other := way{"nftables", ""}
		if w.backend == "nftables" {
			NewXtables(s, "nft")
			other = way{"iptables", "nft"}
		}
		holder, _ := other.published(s, nil, Port("tcp", 8080, 80), with(Port("udp", 9000, 9000), map[string]any{"range": 10}))
		b, result := s.Attach(unmasqueraded(s))
		before := s.Settled()
		for _, clash := range []map[string]any{Port("tcp", 8080, 80), Port("udp", 9005, 53)} {
			ExpectError(s.Call(b, "ADD", w.behind(result, nil, clash)), Conflict, "hostPort "+fmt.Sprint(clash["hostPort"])+"/", holder.ID, NetworkName)
			s.ExpectEqual(before)
		}
		ExpectOK("ADD", s.Call(b, "ADD", w.behind(result, nil, Port("udp", 8080, 80))))
		Expect(holder.Close()).To(Succeed())
		Eventually(func() int { return s.Call(b, "ADD", w.behind(result, nil, Port("tcp", 8080, 80))).Exit }).WithTimeout(Patience).Should(BeZero())
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	})

	It("loses all by DEL, whatever backend is configured by then", func() {
		b, c := w.published(s, nil, Port("tcp", 8080, 80), with(Port("tcp", 9000, 90), map[string]any{"range": 50, "allowFrom": []string{OutsideV4}}))
		ExpectOK("DEL", s.Call(b, "DEL", c))
		before := s.Settled()
		other := map[string]string{"nftables": "iptables", "iptables": "nftables"}[w.backend]
		for _, changes := range []Conf{{"backend": other}, {"backend": nil}, {"backend": other, "runtimeConfig": nil}, {"backend": other, "prevResult": nil}} {
			ExpectOK("ADD", s.Call(b, "ADD", c))
			ExpectOK("DEL", s.Call(b, "DEL", c.With(changes)))
			s.ExpectEqual(before)
		}
	})
}, ways)
