package features_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// sysctl reads a setting, which must be there.
func sysctl(s *Space, key string) string {
	GinkgoHelper()
	value, err := s.Sysctl(key)
	Expect(err).NotTo(HaveOccurred())
	return value
}

var _ = Describe("where /proc/sys is read-only", func() {
	It("ADD works as far as no setting that protects is missing, and CHECK agrees", func() {
		s := NewStage(GinkgoT())
		c := s.Bridge(SubnetV4)
		s.Attach(c) // makes the bridge, with the settings that protect
		b := s.Container()
		call := func(command string, c Conf) ([]byte, error) {
			env := fmt.Sprintf("CNI_COMMAND=%s CNI_CONTAINERID=%s CNI_NETNS=%s CNI_IFNAME=eth0 CNI_PATH=%s ", command, b.ID, b.Path, s.Bin)
			cmd := exec.Command("unshare", "--mount", "sh", "-c",
				"mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys && exec env "+env+filepath.Join(s.Bin, "bridge"))
			cmd.Stdin = bytes.NewReader(c.Stdin())
			var out []byte
			err := s.Host.Do(func() (err error) {
				out, err = cmd.Output()
				return err
			})
			return out, err
		}
		out, err := call("ADD", c)
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		ExpectPing(b.Space, GatewayV4)
		var prev map[string]any
		Expect(json.Unmarshal(out, &prev)).To(Succeed())
		out, err = call("CHECK", c.With(Conf{"prevResult": prev}))
		Expect(err).NotTo(HaveOccurred(), "%s", out)
	})
})

// advertised gives a link of the host a default route as a router advertisement does.
func advertised(s *Stage, link string) {
	GinkgoHelper()
	Expect(s.Host.SetSysctl("net/ipv6/conf/"+link+"/accept_ra", "1")).To(Succeed())
	Inside(s.Host, func() error {
		up, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		return netlink.RouteAdd(&netlink.Route{
			LinkIndex: up.Attrs().Index, Dst: &net.IPNet{IP: net.IPv6zero, Mask: net.CIDRMask(0, 128)},
			Gw: net.ParseIP(OutsideV6), Protocol: unix.RTPROT_RA,
		})
	})
}

func hasAdvertised(s *Stage, link string) bool {
	for _, r := range RouteList(s.Host, link, netlink.FAMILY_V6) {
		if r.Protocol == unix.RTPROT_RA {
			return true
		}
	}
	return false
}

var _ = Describe("ADD takes nothing from a living container", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	It("whose lease file is lost: the next one gets the next address", func() {
		c := s.Bridge(SubnetV4).With(Conf{"ipMasq": true})
		first, firstResult := s.Attach(c)
		second, secondResult := s.Attach(c)
		Expect(os.RemoveAll(s.Data())).To(Succeed())
		third, thirdResult := s.Attach(c)
		Expect(thirdResult.IPs[0].Address.IP.String()).To(Equal("10.60.0.4"))
		for _, b := range []*Box{first, second, third} {
			ExpectPing(b.Space, GatewayV4, OutsideV4)
		}
		s.Del(third, c, thirdResult)
		ExpectPing(first.Space, GatewayV4, OutsideV4)
		s.Del(second, c, secondResult)
		ExpectPing(first.Space, GatewayV4, OutsideV4)
		s.Del(first, c, firstResult)
	})

	It("whose lease file is lost, also where the families' addresses went apart, and nobody masquerades", func() {
		c := s.Bridge(SubnetV4, SubnetV6).With(Conf{"ipMasq": nil})
		zero := s.Bridge(SubnetV6).With(Conf{"ipMasq": nil})
		alone, aloneResult := s.Attach(zero)
		boxes, results := []*Box{alone}, []*types100.Result{aloneResult}
		for range 2 {
			b, r := s.Attach(c)
			boxes, results = append(boxes, b), append(results, r)
		}
		Expect(os.RemoveAll(s.Data())).To(Succeed())
		b, r := s.Attach(c)
		Expect(r.IPs[0].Address.IP.String()).To(Equal("10.60.0.4"))
		Expect(r.IPs[1].Address.IP.String()).To(Equal("fd60::5"))
		for i, b := range boxes[1:] {
			ExpectOK("CHECK", s.Check(b, c, results[i+1]))
		}
		for i, b := range append(boxes, b) {
			ExpectPing(b.Space, GatewayV6)
			s.Del(b, c, append(results, r)[i])
		}
	})

	It("which a request wants to have the address of, too", func() {
		c := s.Bridge(SubnetV4)
		first, _ := s.Attach(c)
		before := s.Settled()
		Expect(os.RemoveAll(s.Data())).To(Succeed())
		late := s.Container()
		call := s.Calling(late, "eth0", "ADD", c)
		call.Args = "IP=" + FirstV4
		ExpectError(s.Run(call), 101, FirstV4, first.ID)
		s.ExpectEqual(before)
		Expect(HasLink(late.Space, "eth0")).To(BeFalse())
		ExpectPing(first.Space, GatewayV4)
	})

	It("of another network with the same subnet on the same bridge", func() {
		one := s.Bridge(SubnetV4)
		two := one.With(Conf{"name": "other"})
		a, ra := s.Attach(one)
		b, rb := s.Attach(two)
		Expect(rb.IPs[0].Address.IP).NotTo(Equal(ra.IPs[0].Address.IP))
		s.Del(b, two, rb)
		ExpectOK("CHECK", s.Check(a, one, ra))
		ExpectPing(a.Space, GatewayV4)
	})
})

var _ = Describe("ADD leaves the host what the host had", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	It("a bridge made beforehand keeps its MAC address while ports come and go", func() {
		Inside(s.Host, func() error {
			bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: BridgeName}}
			if err := netlink.LinkAdd(bridge); err != nil {
				return err
			}
			return netlink.LinkSetUp(bridge)
		})
		c := s.Bridge(SubnetV4)
		first, result := s.Attach(c)
		mac := MAC(s.Host, BridgeName)
		Expect(result.Interfaces[0].Mac).To(Equal(mac.String()))
		second, _ := s.Attach(c)
		s.Del(first, c, result)
		Expect(MAC(s.Host, BridgeName)).To(Equal(mac))
		ExpectPing(second.Space, GatewayV4)
	})

	It("its IPv6 default route by a router advertisement, and the setting again in the end", func() {
		advertised(s, "uplink")
		c := s.Bridge(SubnetV6)
		b, result := s.Attach(c)
		Expect(hasAdvertised(s, "uplink")).To(BeTrue())
		Expect(sysctl(s.Host, "net/ipv6/conf/uplink/accept_ra")).To(Equal("2"))
		ExpectOK("CHECK", s.Check(b, c, result))
		s.Del(b, c, result)
		s.GC(c)
		Expect(sysctl(s.Host, "net/ipv6/conf/all/forwarding")).To(Equal("0"))
		Expect(sysctl(s.Host, "net/ipv6/conf/uplink/accept_ra")).To(Equal("1"))
	})

	It("a bridge that the configuration calls by its altname, with the settings of the bridge", func() {
		foreign(s, "br0", false)
		Change(s.Host, "br0", func(l netlink.Link) error { return netlink.LinkAddAltName(l, "longname") })
		c := s.Bridge(SubnetV4, SubnetV6).With(Conf{"bridge": "longname", "isolateFromLan": true})
		b, result := s.Attach(c)
		Expect(result.Interfaces[0].Name).To(Equal("br0"))
		ExpectOK("CHECK", s.Check(b, c, result))
		ExpectPing(b.Space, GatewayV4, GatewayV6, OutsideV4)
		ExpectOK("STATUS", s.Status(c))
		s.Del(b, c, result)
		s.GC(c)
		Expect(HasLink(s.Host, "br0")).To(BeTrue())
	})

	It("router advertisements on a bridge of the host's own, by which the host has its way out", func() {
		foreign(s, "br0", false)
		Expect(s.Host.SetSysctl("net/ipv6/conf/br0/accept_ra", "1")).To(Succeed())
		c := s.Bridge(SubnetV4).With(Conf{"bridge": "br0", "isGateway": false, "isDefaultGateway": false})
		b, result := s.Attach(c)
		ExpectOK("CHECK", s.Check(b, c, result))
		Expect(sysctl(s.Host, "net/ipv6/conf/br0/accept_ra")).To(Equal("1"))
		s.Del(b, c, result)
		Expect(sysctl(s.Host, "net/ipv6/conf/br0/accept_ra")).To(Equal("1"))
	})
})

var _ = Describe("a container", func() {
	var s *Stage
	BeforeEach(func() { s = NewStage(GinkgoT()) })

	It("takes no redirects, also where its namespace had them allowed for all links", func() {
		b := s.Container()
		Expect(b.SetSysctl("net/ipv4/conf/all/accept_redirects", "1")).To(Succeed())
		s.Add(b, s.Bridge(SubnetV4))
		for _, link := range []string{"all", "eth0"} {
			Expect(sysctl(b.Space, "net/ipv4/conf/"+link+"/accept_redirects")).To(Equal("0"), link)
		}
	})

	It("of two networks answers through either, also where the host filters by reverse path", func() {
		for _, key := range []string{"all", "default"} {
			Expect(s.Host.SetSysctl("net/ipv4/conf/"+key+"/rp_filter", "1")).To(Succeed())
		}
		one := Publishing(s.Bridge(SubnetV4), Port("tcp", 8080, 80))
		two := s.Bridge("10.61.0.0/24").With(Conf{"bridge": "lan1", "name": "lan1"})
		b, _ := s.Attach(one)
		ExpectOK("ADD", s.CallAs(b, "eth1", "ADD", two))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		Change(b.Space, "eth0", func(l netlink.Link) error {
			return netlink.RouteDel(&netlink.Route{LinkIndex: l.Attrs().Index, Gw: net.ParseIP(GatewayV4)})
		})
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		Expect(sysctl(s.Host, "net/ipv4/conf/all/rp_filter")).To(Equal("1"))
		Expect(sysctl(s.Host, "net/ipv4/conf/uplink/rp_filter")).NotTo(Equal("2"))
	})

	It("whose MAC address a later plugin changes is reached at once", func() {
		b, _ := s.Attach(s.Bridge(SubnetV4))
		sibling, _ := s.Attach(s.Bridge(SubnetV4))
		ExpectPing(s.Host, FirstV4)
		ExpectPing(sibling.Space, FirstV4)
		// A link that is taken down first may announce before the bridge's port is up again.
		Change(b.Space, "eth0", func(l netlink.Link) error {
			return netlink.LinkSetHardwareAddr(l, net.HardwareAddr{2, 0xbb, 0, 0, 0, 7})
		})
		for _, from := range []*Space{s.Host, sibling.Space} {
			Eventually(func() []string { return neighbours(from, FirstV4) }).WithTimeout(Haste).
				Should(ConsistOf("02:bb:00:00:00:07"))
		}
	})

	It("whose link's other end was renamed is detached by DEL, and by GC", func() {
		c := s.Bridge(SubnetV4)
		for _, detach := range []func(*Box, *types100.Result){
			func(b *Box, result *types100.Result) { s.Del(b, c, result) },
			func(*Box, *types100.Result) { s.GC(c) },
		} {
			b, result := s.Attach(c)
			Change(s.Host, result.Interfaces[1].Name, netlink.LinkSetDown)
			Change(s.Host, result.Interfaces[1].Name, func(l netlink.Link) error { return netlink.LinkSetName(l, "renamed") })
			detach(b, result)
			Expect(HasLink(s.Host, "renamed")).To(BeFalse())
		}
	})

	It("of a plugin under another name is attached, and its addresses are leased by another name", func() {
		dir := filepath.Join(s.Dir, "renamed")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		for _, name := range []string{"bridge", "host-local"} {
			Expect(os.Symlink(filepath.Join(s.Bin, name), filepath.Join(dir, "buildkit-cni-"+name))).To(Succeed())
		}
		s.Bin = dir
		c := s.Bridge(SubnetV4).With(Conf{"type": "buildkit-cni-bridge"})
		pool := c["ipam"].(Conf).With(Conf{"type": "buildkit-cni-host-local"})
		c = c.With(Conf{"ipam": pool})
		b, result := s.Attach(c)
		ExpectPing(b.Space, GatewayV4)
		ExpectOK("CHECK", s.Check(b, c, result))
		s.Del(b, c, result)
	})
})

// neighbours are the MAC addresses that a namespace remembers for an address.
func neighbours(s *Space, addr string) (macs []string) {
	for _, link := range Links(s) {
		for _, n := range NeighList(s, link.Attrs().Name, netlink.FAMILY_V4) {
			if n.IP.String() == addr {
				macs = append(macs, strings.ToLower(n.HardwareAddr.String()))
			}
		}
	}
	return macs
}

var _ = Describe("CHECK", func() {
	DescribeTable("sees a bridge that forwards nothing, and the next ADD mends it", func(key string) {
		s := NewStage(GinkgoT())
		c := s.Bridge(SubnetV4, SubnetV6)
		b, result := s.Attach(c)
		Expect(s.Host.SetSysctl(key, "0")).To(Succeed())
		ExpectError(s.Check(b, c, result), Drift, strings.ReplaceAll(key, "/", "."), "is 0, expected 1")
		s.Attach(c)
		ExpectOK("CHECK", s.Check(b, c, result))
	},
		Entry("of IPv4", "net/ipv4/conf/"+BridgeName+"/forwarding"),
		Entry("of IPv6", "net/ipv6/conf/"+BridgeName+"/forwarding"),
	)

	It("of a container without its link says so once", func() {
		s := NewStage(GinkgoT())
		c := s.Bridge(SubnetV4)
		b, result := s.Attach(c)
		Change(b.Space, "eth0", netlink.LinkDel)
		a := s.Check(b, c, result)
		ExpectError(a, Drift, "eth0", "missing")
		Expect(string(a.Stdout)).NotTo(ContainSubstring("no such file"))
	})
})

var _ = DescribeTable("GC refuses a list that it cannot read whole", func(list string) {
	s := NewStage(GinkgoT())
	for _, c := range []Conf{s.Bridge(SubnetV4), Portmap()} {
		call := Call{Plugin: c.Plugin(), Command: "GC", Config: []byte(strings.Replace(string(c.Stdin()),
			"{", `{"cni.dev/valid-attachments":`+list+`,`, 1))}
		ExpectError(s.Run(call), 6, "cni.dev/valid-attachments")
	}
},
	Entry("text", `"all"`),
	Entry("an entry of null", `[null]`),
	Entry("an entry without a container", `[{"ifname":"eth0"}]`),
)
