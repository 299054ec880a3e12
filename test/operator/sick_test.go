package operator_test

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

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
	{"forward-ports", func(n *Node) {
		n.nft("table inet mine { chain f { type filter hook forward priority 0; ct status dnat jump strict; }\n chain strict { oifname lan0 reject; } }")
	}, nil},
	{"reply-uplink", byRule, nil},
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
	{"egress-idle", func(n *Node) {
		n.second("20-box.conflist", n.Bridge("10.62.0.0/24").With(stage.Conf{
			"name": "box", "bridge": "box0",
			"egress": stage.Conf{"default": "deny", "allow": []stage.Conf{{"to": "10.0.0.0/8"}, {"to": "10.1.2.3"}}},
		}))
	}, nil},
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
		n.renamed(3)
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
		uplink2(n)
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
	{"cache-broken", func(n *Node) {
		n.write(filepath.Join(n.Dir, "cache/results/lan-cut-eth0"), `{"kind":"cniCacheV1","contai`)
	}, nil},
	{"conf-shadow", func(n *Node) {
		n.second("20-again.conflist", n.Bridge(stage.SubnetV4, stage.SubnetV6), stage.Portmap())
	}, nil},
	{"cni-version", func(n *Node) {
		n.write(n.conf("20-other.conflist"), `{"cniVersion": "7.0.0", "name": "other", "plugins": [{"type": "bridge", "bridge": "other0"}]}`)
	}, nil},
	{"plugin-missing", func(n *Node) { n.second("20-other.conflist", stage.Conf{"name": "other", "type": "macvlan"}) }, nil},
	{"plugin-mixed", func(n *Node) {
		n.binWith("host-local", filepath.Join(stage.Reference(GinkgoT(), "host-local"), "host-local"))
	}, nil},
	{"plugin-version", func(n *Node) {
		n.binWith("", "")
		n.write(filepath.Join(n.Bin, "portmap"), "#!/bin/sh\necho bridgeport portmap plugin 0.0.1 '(commit 1)'\n")
	}, nil},
}

// renamed makes the host's end of an attachment somebody else's. On Linux 6.1 a link that
// is up keeps its name.
func (n *Node) renamed(box int) {
	GinkgoHelper()
	link := n.hostLink(box)
	n.ip("link set " + link + " down")
	n.ip("link set " + link + " name elsewhere alias somebody's up")
}
