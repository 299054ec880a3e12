package operator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/features/stage"
	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// found are the names of the checks that found something, and the exit status.
func (n *Node) found(env ...string) (names []string, status int) {
	GinkgoHelper()
	r := n.ranWith(env, "", "doctor", "-o", "json")
	var out struct {
		Findings []struct{ Check, Severity, Evidence, Consequence, Fix string }
		Status   int
	}
	Expect(json.Unmarshal([]byte(r.Out), &out)).To(Succeed(), "%s%s", r.Out, r.Err)
	Expect(r.Status).To(Equal(out.Status))
	for _, f := range out.Findings {
		Expect(f.Evidence).NotTo(BeEmpty())
		Expect(f.Consequence).NotTo(BeEmpty())
		Expect(f.Fix).NotTo(BeEmpty())
		if len(names) == 0 || names[len(names)-1] != f.Check {
			names = append(names, f.Check)
		}
	}
	return names, r.Status
}

func (n *Node) sysctl(key, value string) {
	GinkgoHelper()
	Expect(n.Host.SetSysctl(key, value)).To(Succeed())
}

func (n *Node) ip(args string) {
	GinkgoHelper()
	stage.Program(n.Host, "", "ip", strings.Fields(args)...)
}

// inside runs ip in a container.
func (n *Node) inside(container int, args string) {
	GinkgoHelper()
	stage.Program(n.Boxes[container].Space, "", "ip", strings.Fields(args)...)
}

// nft changes the host's rules as a person would.
func (n *Node) nft(text string) {
	GinkgoHelper()
	stage.Program(n.Host, strings.ReplaceAll(text, " }", "\n}"), "nft", "-f", "-")
}

func (n *Node) write(path, text string) {
	GinkgoHelper()
	Expect(os.MkdirAll(filepath.Dir(path), 0o755)).To(Succeed())
	Expect(os.WriteFile(path, []byte(text), 0o755)).To(Succeed())
}

// dump writes what a daemon would, into this isolated process' /run.
func (n *Node) note(dir, text string) {
	GinkgoHelper()
	path := filepath.Join(dir, fmt.Sprint(stage.Link(n.Host, stage.BridgeName).Attrs().Index))
	n.write(path, text)
	DeferCleanup(os.Remove, path)
}

func (n *Node) hostLink(i int) string {
	GinkgoHelper()
	return n.listed().Attachments[i].HostLink
}

// dies ends a container without a DEL.
func (n *Node) dies(i int) {
	GinkgoHelper()
	link := n.hostLink(i)
	Expect(n.Boxes[i].Close()).To(Succeed())
	Eventually(func() error {
		return n.Host.Do(func() error { _, err := netlink.LinkByName(link); return err })
	}).WithTimeout(stage.Patience).Should(HaveOccurred())
}

// second adds a configuration file.
func (n *Node) second(file string, plugins ...stage.Conf) {
	GinkgoHelper()
	n.write(n.conf(file), string(stage.List(plugins...)))
}

func legacyIPTables(n *Node) stage.Xtables {
	GinkgoHelper()
	return stage.NewXtables(n.Stage, "legacy")
}

// each breaks exactly one thing of a healthy node. want are all checks that may then
// find something; the first is the one under test.
var sick = []struct {
	check   string
	breaks  func(*Node)
	besides []string
}{
	{"ip-forward", func(n *Node) { n.sysctl("net/ipv4/ip_forward", "0") }, []string{"drift"}},
	{"ip6-forward", func(n *Node) { n.sysctl("net/ipv6/conf/all/forwarding", "0") }, []string{"drift"}},
	{"forward-policy", func(n *Node) {
		n.nft("table inet mine { chain forward { type filter hook forward priority 0; policy drop; } }")
	}, []string{"br-netfilter"}},
	{"forward-legacy", func(n *Node) { legacyIPTables(n).Run(n.Host, "-P FORWARD DROP") }, []string{"br-netfilter"}},
	{"firewalld", func(n *Node) {
		n.nft("table inet firewalld { chain filter_FORWARD { type filter hook forward priority 10; policy accept; } }")
	}, nil},
	{"ufw", func(n *Node) {
		n.nft("table ip filter { chain ufw-before-forward { }\n chain FORWARD { type filter hook forward priority 0; policy accept; jump ufw-before-forward; } }")
	}, nil},
	{"rules-missing", func(n *Node) { n.nft("flush ruleset") }, []string{"elements-missing", "loopback-guard", "drift"}},
	{"elements-missing", func(n *Node) { stage.EmptySet(n.Host, stage.NAT, "anyport4") }, nil},
	{"loopback-guard", func(n *Node) { n.nft("flush chain inet bridgeport guard") }, []string{"rules-missing"}},
	{"port-shadowed", func(n *Node) {
		n.nft("table ip mine { chain pre { type nat hook prerouting priority dstnat; tcp dport 8080 redirect to :22; } }")
	}, nil},
	{"port-listener", func(n *Node) { stage.Serve(n.Host, "tcp", 8443) }, nil},
	{"nat-legacy", func(n *Node) { legacyIPTables(n).Run(n.Host, "-t nat -A PREROUTING -s 192.0.2.1 -j ACCEPT") }, nil},
	{"nat-priority", func(n *Node) {
		n.nft("table ip mine { chain pre { type nat hook prerouting priority -99; } }")
	}, nil},
	{"orphan-rules", func(n *Node) {
		n.dies(0)
		Expect(os.RemoveAll(filepath.Join(n.Dir, "cache"))).To(Succeed())
		Expect(os.Remove(n.Lease(stage.FirstV4))).To(Succeed())
		Expect(os.Remove(n.Lease(stage.FirstV6))).To(Succeed())
	}, nil},
	{"bridge-missing", func(n *Node) { n.ip("link del lan0") }, []string{"port-unplugged", "subnet-overlap-route", "drift", "gateway-missing", "loopback-guard"}},
	{"bridge-down", func(n *Node) { n.ip("link set lan0 down") }, []string{"port-unplugged", "gateway-missing", "drift"}},
	{"port-unplugged", func(n *Node) { n.ip("link set " + n.hostLink(1) + " nomaster") }, []string{"drift"}},
	{"gateway-missing", func(n *Node) { n.ip("address del 10.60.0.1/24 dev lan0") }, []string{"drift"}},
	{"bridge-foreign-address", func(n *Node) { n.ip("address add 10.77.0.1/24 dev lan0") }, nil},
	{"netmask-32", func(n *Node) { n.ip("address add 10.60.0.1/32 dev lan0") }, []string{"bridge-foreign-address"}},
	{"accept-ra", func(n *Node) { n.sysctl("net/ipv6/conf/lan0/accept_ra", "1") }, []string{"drift"}},
	{"subnet-overlap-network", func(n *Node) {
		n.second("20-other.conflist", stage.Conf{"name": "other", "type": "bridge", "bridge": "other0", "ipam": n.IPAM("10.60.0.128/25")})
	}, nil},
	{"subnet-overlap-route", func(n *Node) { n.ip("route add 10.60.0.64/26 via " + stage.OutsideV4) }, nil},
	{"mtu-path", func(n *Node) { n.ip("link set uplink mtu 1400") }, nil},
	{"mtu-pair", func(n *Node) { n.ip("link set " + n.hostLink(1) + " mtu 1300") }, []string{"drift"}},
	{"mac-duplicate", func(n *Node) {
		n.inside(1, "link set eth0 address "+stage.MAC(n.Boxes[0].Space, "eth0").String())
	}, []string{"drift"}},
	{"ip-duplicate", func(n *Node) { n.inside(1, "address add "+stage.FirstV4+"/24 dev eth0") }, nil},
	{"address-drift", func(n *Node) { n.inside(1, "-6 address del "+stage.SecondV6+"/64 dev eth0") }, nil},
	{"network-manager", func(n *Node) { n.note("/run/NetworkManager/devices", "[device]\nmanaged=true\n") }, nil},
	{"networkd", func(n *Node) { n.note("/run/systemd/netif/links", "ADMIN_STATE=configured\nOPER_STATE=routable\n") }, nil},
	{"drift", func(n *Node) {
		stage.Program(n.Boxes[1].Space, "", "sysctl", "-qw", "net.ipv4.conf.eth0.accept_redirects=1")
	}, nil},
	{"half-attached", func(n *Node) {
		n.ip("link set " + n.hostLink(1) + " down")
		n.ip("link set " + n.hostLink(1) + " name elsewhere alias somebody's")
	}, nil},
	{"orphan-cache", func(n *Node) {
		n.Del(n.Boxes[1], n.Bridge(stage.SubnetV4, stage.SubnetV6), nil) // not by libcni, which keeps its cache
	}, nil},
	{"unsure", func(n *Node) {
		n.add("ghost")
		Expect(os.Remove(filepath.Join(n.Dir, "cache/results/lan-ghost-eth0"))).To(Succeed())
		n.ip("link set " + n.hostLink(3) + " name elsewhere alias somebody's")
	}, nil},
	{"lease-dead", func(n *Node) { n.write(n.Lease("10.60.0.200"), "gone\r\neth0") }, nil},
	{"lease-missing", func(n *Node) {
		Expect(os.Remove(n.Lease(stage.SecondV4))).To(Succeed())
		Expect(os.Remove(n.Lease(stage.SecondV6))).To(Succeed())
	}, nil},
	{"lease-empty", func(n *Node) { n.write(n.Lease("10.60.0.200"), "") }, nil},
	{"lease-clock", func(n *Node) {
		later := time.Now().Add(48 * time.Hour)
		Expect(os.Chtimes(n.Lease(stage.FirstV4), later, later)).To(Succeed())
	}, nil},
	{"lease-writable", func(n *Node) {
		Expect(unix.Mount(n.Data(), n.Data(), "", unix.MS_BIND, "")).To(Succeed())
		DeferCleanup(unix.Unmount, n.Data(), unix.MNT_DETACH)
		Expect(unix.Mount("", n.Data(), "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, "")).To(Succeed())
	}, nil},
	{"pool-full", func(n *Node) {
		n.second("10-lan.conflist", n.Bridge().With(stage.Conf{"isDefaultGateway": true, "ipam": stage.Conf{
			"type": "host-local", "dataDir": n.Data(),
			"ranges": [][]stage.Conf{{{"subnet": stage.SubnetV4, "rangeEnd": "10.60.0.4"}}, {{"subnet": stage.SubnetV6}}},
		}}), stage.Portmap())
	}, nil},
	{"ipv6-ra", func(n *Node) {
		n.sysctl("net/ipv6/conf/uplink/accept_ra", "1")
		n.ip("-6 route add default via " + stage.OutsideV6 + " dev uplink proto ra metric 100")
	}, nil},
	{"rp-filter", func(n *Node) {
		Expect(lab.Wire(n.Host, "uplink2", "203.0.114.2/24", n.Outside, "eth1", "203.0.114.9/24")).To(Succeed())
		n.ip("route add default via 203.0.114.9 metric 200")
		n.sysctl("net/ipv4/conf/all/rp_filter", "1")
	}, nil},
	{"conntrack-full", func(n *Node) {
		n.over("net/netfilter/nf_conntrack_count", "900")
		n.over("net/netfilter/nf_conntrack_max", "1000")
	}, nil},
	{"bridge-full", func(n *Node) {
		bridge := stage.Link(n.Host, stage.BridgeName).Attrs().Index
		Expect(n.Host.Do(func() error {
			for i := range 460 { // both ends of each pair
				a := netlink.LinkAttrs{Name: fmt.Sprintf("d%d", i), MasterIndex: bridge}
				if err := netlink.LinkAdd(&netlink.Veth{LinkAttrs: a, PeerName: fmt.Sprintf("e%d", i)}); err != nil {
					return err
				}
				peer, err := netlink.LinkByName(fmt.Sprintf("e%d", i))
				if err == nil {
					err = netlink.LinkSetMasterByIndex(peer, bridge)
				}
				if err != nil {
					return err
				}
			}
			return nil
		})).To(Succeed())
	}, nil},
	{"conf-broken", func(n *Node) { n.write(n.conf("05-bad.conflist"), `{"name": "bad", `) }, nil},
	{"conf-shadow", func(n *Node) {
		n.second("20-again.conflist", n.Bridge(stage.SubnetV4, stage.SubnetV6), stage.Portmap())
	}, nil},
	{"cni-version", func(n *Node) {
		n.write(n.conf("20-other.conflist"), `{"cniVersion": "7.0.0", "name": "other", "plugins": [{"type": "bridge", "bridge": "other0"}]}`)
	}, nil},
	{"plugin-missing", func(n *Node) { n.second("20-other.conflist", stage.Conf{"name": "other", "type": "macvlan"}) }, nil},
	{"plugin-mixed", func(n *Node) { n.binWith("host-local", filepath.Join(stage.Reference("host-local"), "host-local")) }, nil},
	{"plugin-version", func(n *Node) {
		n.binWith("", "")
		n.write(filepath.Join(n.Bin, "portmap"), "#!/bin/sh\necho bridgeport portmap plugin 0.0.1 '(commit 1)'\n")
	}, nil},
}

// over puts a value over a setting that only the first namespace may write.
func (n *Node) over(key, value string) {
	GinkgoHelper()
	path := filepath.Join(n.Dir, filepath.Base(key))
	n.write(path, value+"\n")
	target := "/proc/sys/" + key
	Expect(n.Host.Do(func() error { return unix.Mount(path, target, "", unix.MS_BIND, "") })).To(Succeed(), target)
	DeferCleanup(func() error { return n.Host.Do(func() error { return unix.Unmount(target, unix.MNT_DETACH) }) })
}

// binWith gives the node a directory of plugins of its own, with one of them replaced.
func (n *Node) binWith(name, from string) {
	GinkgoHelper()
	dir := filepath.Join(n.Dir, "bin")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	for _, p := range []string{"bridge", "portmap", "host-local", "bridgeport"} {
		source := filepath.Join(n.Bin, p)
		if p == name {
			source = from
		}
		data, err := os.ReadFile(source)
		Expect(err).NotTo(HaveOccurred())
		n.write(filepath.Join(dir, p), string(data))
	}
	n.Bin = dir
}

var _ = Describe("doctor", func() {
	It("finds nothing on a healthy node", func() {
		n := three()
		r := n.ran("doctor")
		Expect(r.Status).To(BeZero(), r.Out)
		golden("doctor-well.txt", n.ok("doctor", "-v"))
	})

	for _, c := range sick {
		It("finds "+c.check, func() {
			n := three()
			c.breaks(n)
			var names []string
			Eventually(func() []string { names, _ = n.found(); return names }).WithTimeout(stage.Patience).Should(ContainElement(c.check))
			for _, name := range names {
				Expect(append(c.besides, c.check)).To(ContainElement(name), "%v\n%s", names, n.ran("doctor").Out)
			}
		})
	}

	It("finds nf-tables", func() {
		// Without the capability the kernel answers as one that has no nf_tables does.
		n := three()
		out, err := exec.Command("setpriv", "--bounding-set=-net_admin", filepath.Join(n.Bin, "bridgeport"),
			"--netns", n.Host.Path, "--conf-dir", n.conf(), "--bin-dir", n.Bin, "doctor").Output()
		Expect(err).To(HaveOccurred())
		Expect(string(out)).To(ContainSubstring("FAIL  nf-tables"))
	})

	It("has a spec for each check", func() {
		var listed []struct{ Name string }
		Expect(json.Unmarshal([]byte(three().ok("doctor", "--list", "-o", "json")), &listed)).To(Succeed())
		Expect(len(listed)).To(BeNumerically(">=", 30))
		tested := []string{"nf-tables", "br-netfilter"}
		for _, c := range sick {
			tested = append(tested, c.check)
		}
		for _, c := range listed {
			Expect(tested).To(ContainElement(c.Name))
		}
		Expect(tested).To(HaveLen(len(listed)))
	})

	It("finds br-netfilter", func() {
		n := three()
		n.BridgeNetfilter("1")
		n.nft("table inet mine { chain forward { type filter hook forward priority 0; policy drop; } }")
		names, _ := n.found()
		Expect(names).To(ConsistOf("forward-policy", "br-netfilter"))
	})

	It("tells consequence, evidence and fix", func() {
		n := three()
		n.nft("flush ruleset")
		n.sysctl("net/ipv4/ip_forward", "0")
		n.dies(1)
		r := n.ran("doctor")
		Expect(r.Status).To(Equal(2))
		golden("doctor-sick.txt", r.Out)
	})

	It("warns with status 1", func() {
		n := three()
		n.write(n.Lease("10.60.0.200"), "gone\r\neth0")
		_, status := n.found()
		Expect(status).To(Equal(1))
	})
})
