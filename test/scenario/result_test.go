package scenario_test

import (
	"encoding/json"
	"fmt"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// answer is an ADD's result as the runtime reads it, in any version.
type answer struct {
	CNIVersion string
	Interfaces []struct {
		Name, Mac, Sandbox string
		Mtu                *int
	}
	IPs []struct {
		Version, Address, Gateway string
		Interface                 *int
	}
	IP4, IP6 *struct {
		IP, Gateway string
		Routes      []route
	}
	Routes []route
	DNS    struct {
		Nameservers, Search, Options []string
		Domain                       string
	}
}

type route struct{ Dst, GW string }

func decode(stdout []byte) (a answer) {
	GinkgoHelper()
	Expect(json.Unmarshal(stdout, &a)).To(Succeed(), "stdout: %s", stdout)
	return a
}

var dns = Conf{
	"nameservers": []string{"192.0.2.53"}, "domain": "lab.example",
	"search": []string{"lab.example", "example"}, "options": []string{"ndots:2"},
}

// attachOld runs ADD in one version of the specification, over both plugins.
func attachOld(version string, subnets ...string) (*Stage, *Box, answer) {
	GinkgoHelper()
	s := newStage()
	b := s.Container()
	add := s.Call(b, "ADD", bridge(s, subnets...).With(Conf{"cniVersion": version, "dns": dns, "mtu": 1400}))
	ExpectOK("ADD", add)
	ports := webPorts()
	if len(subnets) == 0 {
		ports = nil
	}
	chained := s.Call(b, "ADD", Conf{
		"type": "portmap", "cniVersion": version, "prevResult": json.RawMessage(add.Stdout),
		"runtimeConfig": Conf{"portMappings": ports},
	})
	ExpectOK("ADD", chained)
	a := decode(chained.Stdout)
	Expect(a).To(Equal(decode(add.Stdout)), "portmap passes the result on")
	Expect(a.CNIVersion).To(Equal(version))
	return s, b, a
}

func (a answer) expectDNS() {
	GinkgoHelper()
	Expect(a.DNS.Nameservers).To(Equal([]string{"192.0.2.53"}))
	Expect(a.DNS.Domain).To(Equal("lab.example"))
	Expect(a.DNS.Search).To(Equal([]string{"lab.example", "example"}))
	Expect(a.DNS.Options).To(Equal([]string{"ndots:2"}))
}

var _ = DescribeTable("an old result (ip4, ip6)", func(version string) {
	_, _, a := attachOld(version, SubnetV4, SubnetV6)
	Expect(a.Interfaces).To(BeEmpty())
	Expect(a.IP4).NotTo(BeNil())
	Expect(a.IP4.IP).To(Equal(FirstV4 + "/24"))
	Expect(a.IP4.Gateway).To(Equal(GatewayV4))
	Expect(a.IP4.Routes).To(ConsistOf(route{"0.0.0.0/0", GatewayV4}))
	Expect(a.IP6).NotTo(BeNil())
	Expect(a.IP6.IP).To(Equal(FirstV6 + "/64"))
	Expect(a.IP6.Gateway).To(Equal(GatewayV6))
	Expect(a.IP6.Routes).To(ConsistOf(route{"::/0", GatewayV6}))
	a.expectDNS()
}, Entry(nil, "0.1.0"), Entry(nil, "0.2.0"))

var _ = DescribeTable("a result with interfaces", func(version string, withIPVersion, withMTU bool) {
	s, b, a := attachOld(version, SubnetV4, SubnetV6)

	By("listing bridge, host end and container end, as they are in the kernel")
	Expect(a.Interfaces).To(HaveLen(3))
	bridge, port, eth0 := a.Interfaces[0], a.Interfaces[1], a.Interfaces[2]
	Expect(bridge.Name).To(Equal(BridgeName))
	Expect(bridge.Mac).To(Equal(Link(s.Host, BridgeName).Attrs().HardwareAddr.String()))
	Expect(bridge.Sandbox).To(BeEmpty())
	Expect(port.Name).To(HavePrefix("veth"))
	Expect(port.Mac).To(Equal(Link(s.Host, port.Name).Attrs().HardwareAddr.String()))
	Expect(port.Sandbox).To(BeEmpty())
	Expect(eth0.Name).To(Equal("eth0"))
	Expect(eth0.Mac).To(Equal(Link(b.Space, "eth0").Attrs().HardwareAddr.String()))
	Expect(eth0.Sandbox).To(Equal(b.Path))
	for _, i := range a.Interfaces {
		// Versions before 1.1.0 do not know the key.
		Expect(i.Mtu != nil).To(Equal(withMTU), i.Name)
		if withMTU {
			Expect(*i.Mtu).To(Equal(1400), i.Name)
		}
	}

	By("giving the addresses to the container's end")
	Expect(a.IPs).To(HaveLen(2))
	for i, want := range []struct{ version, address, gateway string }{
		{"4", FirstV4 + "/24", GatewayV4},
		{"6", FirstV6 + "/64", GatewayV6},
	} {
		if !withIPVersion {
			want.version = ""
		}
		ip := a.IPs[i]
		Expect(ip.Interface).To(HaveValue(Equal(2)))
		Expect(fmt.Sprint(ip.Version, ip.Address, ip.Gateway)).To(Equal(fmt.Sprint(want.version, want.address, want.gateway)))
	}
	Expect(Addrs(b.Space, "eth0")).To(ConsistOf(FirstV4+"/24", FirstV6+"/64"))

	By("telling the default routes")
	Expect(a.Routes).To(ConsistOf(route{"0.0.0.0/0", GatewayV4}, route{"::/0", GatewayV6}))
	Expect(Routes(b.Space, "eth0")).To(ConsistOf("0.0.0.0/0 via "+GatewayV4, "::/0 via "+GatewayV6))
	a.expectDNS()
},
	Entry(nil, "0.3.0", true, false),
	Entry(nil, "0.3.1", true, false),
	Entry(nil, "0.4.0", true, false),
	Entry(nil, "1.0.0", false, false),
	Entry(nil, "1.1.0", false, true),
)

var _ = DescribeTable("a link-layer result has interfaces and no address", func(version string) {
	s, b, a := attachOld(version)
	Expect(a.Interfaces).To(HaveLen(3))
	Expect(a.IPs).To(BeEmpty())
	Expect(a.Routes).To(BeEmpty())
	Expect(a.Interfaces[1].Name).To(HavePrefix("veth"))
	Expect(Link(s.Host, a.Interfaces[1].Name).Attrs().MasterIndex).To(Equal(Link(s.Host, BridgeName).Attrs().Index))
	Expect(Addrs(b.Space, "eth0")).To(BeEmpty())
}, Entry(nil, "0.3.0"), Entry(nil, "0.3.1"), Entry(nil, "0.4.0"), Entry(nil, "1.0.0"), Entry(nil, "1.1.0"))

var _ = DescribeTable("VERSION", func(plugin string) {
	s := newStage()
	for _, version := range []string{"0.4.0", "1.1.0"} {
		stdin := Encode(Conf{"cniVersion": version})
		answer, err := s.Host.CNI(s.Bin, callVersion(plugin, stdin))
		Expect(err).NotTo(HaveOccurred())
		Expect(answer.Exit).To(BeZero())
		var told struct {
			CNIVersion        string
			SupportedVersions []string
		}
		Expect(json.Unmarshal(answer.Stdout, &told)).To(Succeed())
		Expect(told.CNIVersion).To(Equal(version))
		Expect(told.SupportedVersions).To(Equal([]string{"0.1.0", "0.2.0", "0.3.0", "0.3.1", "0.4.0", "1.0.0", "1.1.0"}))
	}
}, Entry(nil, "bridge"), Entry(nil, "portmap"), Entry(nil, "host-local"))

// decodeAny is JSON to be put into a configuration again.
func decodeAny(text []byte) (v any) {
	GinkgoHelper()
	Expect(json.Unmarshal(text, &v)).To(Succeed(), "JSON: %s", text)
	return v
}
