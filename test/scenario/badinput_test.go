package scenario_test

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// refuse runs ADD with the prepared call and wants an error that changes nothing.
func refuse(s *Stage, c Call, code uint, texts ...string) {
	GinkgoHelper()
	before := s.Settled()
	ExpectError(s.Run(c), code, texts...)
	s.ExpectEqual(before)
}

// addCall is an ADD of bridge that would work, to be spoiled.
func addCall(s *Stage, change Conf) Call {
	GinkgoHelper()
	b := s.Container()
	return Call{
		Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "eth0",
		Config: bridge(s, SubnetV4).With(change).Stdin(),
	}
}

var _ = DescribeTable("stdin that is no configuration is refused", func(stdin []byte, code int, texts ...string) {
	for _, plugin := range []string{"bridge", "portmap", "host-local"} {
		s := newStage()
		c := addCall(s, nil)
		c.Plugin, c.Config = plugin, stdin
		refuse(s, c, uint(code), texts...)
	}
},
	Entry("garbage", []byte("\x00\xffgarbage{"), 6, "JSON"),
	Entry("cut off", []byte(`{"cniVersion": "1.1.0", "name": "lan", "type": "bri`), 6, "JSON"),
	Entry("empty", []byte{}, 6, "JSON"),
	Entry("a list", []byte(`[1, 2]`), 6, "network configuration"),
	Entry("name of a wrong type", []byte(`{"cniVersion": "1.1.0", "name": 7}`), 6, "name", "string"),
	Entry("name missing", []byte(`{"cniVersion": "1.1.0"}`), 7, "name"),
	Entry("3 MiB", bytes.Repeat([]byte(" "), 3<<20), 6, "stdin", "2097152"),
	Entry("nested too deep", []byte(strings.Repeat("[", 100_000)), 6),
)

var _ = DescribeTable("a configuration of bridge is refused", func(change func(*Stage) Conf, code int, texts ...string) {
	s := newStage()
	refuse(s, addCall(s, change(s)), uint(code), texts...)
},
	Entry("mtu of a wrong type", fixed(Conf{"mtu": "big"}), 6, "mtu"),
	Entry("isGateway of a wrong type", fixed(Conf{"isGateway": "yes"}), 6, "isGateway"),
	Entry("ipam of a wrong type", fixed(Conf{"ipam": 7}), 6, "ipam"),
	Entry("name empty", fixed(Conf{"name": ""}), 7, "name"),
	Entry("name with a slash", fixed(Conf{"name": "../../etc"}), 7, "name", "../../etc"),
	Entry("unknown cniVersion", fixed(Conf{"cniVersion": "9.9.9"}), 1, "cniVersion", "9.9.9"),
	Entry("mtu negative", fixed(Conf{"mtu": -1}), 7, "mtu", "-1"),
	Entry("mtu above the kernel's limit", fixed(Conf{"mtu": 100_000}), 7, "mtu", "100000"),
	Entry("hairpinMode with promiscMode", fixed(Conf{"hairpinMode": true, "promiscMode": true}), 7, "hairpinMode", "promiscMode"),
	Entry("vlan out of range", fixed(Conf{"vlan": 5000}), 7, "vlan", "5000"),
	Entry("vlanTrunk with a null entry", fixed(Conf{"vlanTrunk": []any{nil}}), 7, "vlanTrunk", "null"),
	Entry("bridge name too long", fixed(Conf{"bridge": "a-very-long-bridge-name"}), 7, "bridge", "a-very-long-bridge-name"),
	Entry("bridge name empty", fixed(Conf{"bridge": ""}), 7, "bridge"),
	Entry("bridge name with a slash", fixed(Conf{"bridge": "a/b"}), 7, "bridge", "a/b"),
	Entry("unknown ipMasqBackend", fixed(Conf{"ipMasqBackend": "pf"}), 7, "ipMasqBackend", "pf"),
	Entry("disableContainerInterface with ipam", fixed(Conf{"disableContainerInterface": true}), 7, "disableContainerInterface", "ipam"),
	Entry("bad MAC in runtimeConfig", fixed(Conf{"runtimeConfig": Conf{"mac": "zz"}}), 7, "mac", "zz"),
	Entry("bad MAC in args.cni", fixed(Conf{"args": Conf{"cni": Conf{"mac": "02:00:00"}}}), 7, "mac", "02:00:00"),
	Entry("multicast MAC", fixed(Conf{"runtimeConfig": Conf{"mac": "01:00:5e:00:00:01"}}), 7, "mac", "01:00:5e:00:00:01"),
	Entry("MAC of zeros", fixed(Conf{"runtimeConfig": Conf{"mac": "00:00:00:00:00:00"}}), 7, "mac", "00:00:00:00:00:00"),
	Entry("MAC of an InfiniBand link", fixed(Conf{"runtimeConfig": Conf{"mac": "02:00:00:00:00:00:00:01"}}), 7, "mac"),
	Entry("ipam.type with a path", fixed(Conf{"ipam": Conf{"type": "../host-local"}}), 7, "ipam", "../host-local"),
	Entry("subnet not a CIDR", ranged(Conf{"subnet": "10.60.0.0"}), 7, "subnet", "10.60.0.0"),
	Entry("subnet with host bits", ranged(Conf{"subnet": "10.60.0.7/24"}), 7, "subnet", "10.60.0.7/24", SubnetV4),
	Entry("subnet too small", ranged(Conf{"subnet": "10.60.0.0/31"}), 7, "subnet", "10.60.0.0/31"),
	Entry("subnet missing", ranged(Conf{"rangeStart": "10.60.0.7"}), 7, "subnet"),
	Entry("gateway outside the subnet", ranged(Conf{"subnet": SubnetV4, "gateway": "10.61.0.1"}), 7, "gateway", "10.61.0.1", SubnetV4),
	Entry("gateway not an address", ranged(Conf{"subnet": SubnetV4, "gateway": "first"}), 7, "gateway", "first"),
	Entry("rangeStart outside the subnet", ranged(Conf{"subnet": SubnetV4, "rangeStart": "10.61.0.7"}), 7, "rangeStart", "10.61.0.7", SubnetV4),
	Entry("rangeEnd outside the subnet", ranged(Conf{"subnet": SubnetV4, "rangeEnd": "10.61.0.7"}), 7, "rangeEnd", "10.61.0.7", SubnetV4),
	Entry("rangeStart after rangeEnd", ranged(Conf{"subnet": SubnetV4, "rangeStart": "10.60.0.9", "rangeEnd": "10.60.0.8"}), 7, "rangeStart", "10.60.0.9", "10.60.0.8"),
	Entry("no ranges", func(s *Stage) Conf { return Conf{"ipam": s.IPAM()} }, 7, "ranges"),
	Entry("overlapping range sets", func(s *Stage) Conf { return Conf{"ipam": s.IPAM(SubnetV4, "10.60.0.0/16")} }, 7, "range", "overlap"),
	Entry("families mixed in a set", func(s *Stage) Conf {
		return Conf{"ipam": s.IPAM().With(Conf{"ranges": [][]Conf{{{"subnet": SubnetV4}, {"subnet": SubnetV6}}}})}
	}, 7, "range", "famil"),
	Entry("route not a CIDR", func(s *Stage) Conf {
		return Conf{"ipam": s.IPAM(SubnetV4).With(Conf{"routes": []Conf{{"dst": "somewhere"}}})}
	}, 7, "dst", "somewhere"),
	Entry("requested address out of the range", fixed(Conf{"runtimeConfig": Conf{"ips": []string{"10.99.0.1"}}}), 7, "10.99.0.1"),
	Entry("requested address not an address", fixed(Conf{"runtimeConfig": Conf{"ips": []string{"mine"}}}), 7, "ips", "mine"),
	Entry("requested address is the gateway", fixed(Conf{"runtimeConfig": Conf{"ips": []string{GatewayV4}}}), 7, GatewayV4),
)

// fixed is a change that needs nothing of the stage.
func fixed(c Conf) func(*Stage) Conf { return func(*Stage) Conf { return c } }

// ranged is one range in place of the usual one.
func ranged(r Conf) func(*Stage) Conf {
	return func(s *Stage) Conf {
		return Conf{"ipam": s.IPAM().With(Conf{"ranges": [][]Conf{{r}}})}
	}
}

var _ = DescribeTable("a port mapping is refused", func(mapping map[string]any, code int, texts ...string) {
	s := newStage()
	b := s.Container()
	zero := 0
	attached := &types100.Result{
		CNIVersion: Newest,
		Interfaces: []*types100.Interface{{Name: "eth0", Sandbox: b.Path}},
		IPs:        []*types100.IPConfig{{Interface: &zero, Address: *ParseAddr(FirstV4 + "/24").IPNet}},
	}
	refuse(s, Call{
		Plugin: "portmap", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "eth0",
		Config: Portmap().With(Conf{"prevResult": attached, "runtimeConfig": Conf{"portMappings": []any{mapping}}}).Stdin(),
	}, uint(code), texts...)
},
	Entry("hostPort 0", Port("tcp", 0, 80), 7, "hostPort", "0"),
	Entry("hostPort 70000", Port("tcp", 70000, 80), 7, "hostPort", "70000"),
	Entry("hostPort negative", Port("tcp", -1, 80), 7, "hostPort", "-1"),
	Entry("containerPort 0", Port("tcp", 8080, 0), 7, "containerPort", "0"),
	Entry("containerPort 70000", Port("tcp", 8080, 70000), 7, "containerPort", "70000"),
	Entry("hostPort of a wrong type", map[string]any{"hostPort": "8080", "containerPort": 80, "protocol": "tcp"}, 6, "hostPort", "string"),
	Entry("unknown protocol", Port("icmp", 8080, 80), 7, "protocol", "icmp"),
	Entry("hostIP not an address", On("localhost", "tcp", 8080, 80), 7, "hostIP", "localhost"),
	Entry("hostIP with a zone", On("fe80::1%eth0", "tcp", 8080, 80), 7, "hostIP", "fe80::1%eth0"),
	Entry("hostIP of a family that the container lacks", On(HostV6, "tcp", 8080, 80), 7, "hostIP", HostV6),
)

var _ = Describe("portmap refuses to be", func() {
	It("the first of the chain", func() {
		s := newStage()
		c := addCall(s, nil)
		c.Plugin, c.Config = "portmap", Portmap().With(Conf{"runtimeConfig": Conf{"portMappings": webPorts()}}).Stdin()
		refuse(s, c, 7, "prevResult")
	})
})

var _ = Describe("leases are refused", func() {
	It("from an exhausted pool, telling the pool", func() {
		s := newStage()
		ipam := Conf{"ipam": s.IPAM("10.60.0.0/30")}
		s.Attach(bridge(s, SubnetV4).With(ipam))
		refuse(s, addCall(s, ipam), 102, "10.60.0.1-10.60.0.2")
	})

	It("where the directory is read-only", func() {
		s := newStage()
		dir := filepath.Join(s.Dir, "readonly")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		Expect(unix.Mount("lab", dir, "tmpfs", unix.MS_RDONLY, "")).To(Succeed())
		DeferCleanup(unix.Unmount, dir, 0)
		refuse(s, addCall(s, Conf{"ipam": s.IPAM(SubnetV4).With(Conf{"dataDir": dir})}), 5, dir)
	})

	for what, options := range map[string]string{"blocks": "size=128k", "inodes": "nr_inodes=32"} {
		It("where the disk has no "+what+", and STATUS tells just then", func() {
			s := newStage()
			dir := filepath.Join(s.Dir, "full")
			Expect(os.Mkdir(dir, 0o755)).To(Succeed())
			Expect(unix.Mount("lab", dir, "tmpfs", 0, options+",mode=755")).To(Succeed())
			DeferCleanup(unix.Unmount, dir, unix.MNT_DETACH)
			ipam := Conf{"ipam": s.IPAM(SubnetV4, SubnetV6).With(Conf{"dataDir": filepath.Join(dir, "networks")})}
			c := addCall(s, ipam)
			free := fill(dir)
			ExpectError(s.Run(c), 5, "no space left")
			freed := 0
			for ready := quick(s, bridge(s).With(ipam)); ready.Exit != 0; ready = quick(s, bridge(s).With(ipam)) {
				ExpectError(ready, 50, "no space left")
				free()
				freed++
			}
			Expect(freed).To(BeNumerically(">", 0))
			Expect(s.Run(c).Exit).To(BeZero())
		})
	}

	It("not by STATUS, which answers at once, at a stuck lock and on a mount of somebody", func() {
		s := newStage()
		s.Attach(bridge(s, SubnetV4))
		lock, err := os.Open(filepath.Join(s.Data(), NetworkName, "lock"))
		Expect(err).NotTo(HaveOccurred())
		DeferCleanup(lock.Close)
		Expect(unix.Flock(int(lock.Fd()), unix.LOCK_EX)).To(Succeed())
		Expect(quick(s, bridge(s, SubnetV4)).Exit).To(BeZero())
		Expect(unix.Mount("lab", s.Data(), "tmpfs", 0, "mode=777")).To(Succeed())
		DeferCleanup(unix.Unmount, s.Data(), unix.MNT_DETACH)
		ExpectError(quick(s, bridge(s, SubnetV4)), 50, s.Data())
	})

	It("where the directory is a file", func() {
		s := newStage()
		file := filepath.Join(s.Dir, "file")
		Expect(os.WriteFile(file, nil, 0o644)).To(Succeed())
		refuse(s, addCall(s, Conf{"ipam": s.IPAM(SubnetV4).With(Conf{"dataDir": file})}), 5, file)
	})
})

// quick is STATUS, which must not take a second, and says how long it took. A call waits 30 s for the lock.
func quick(s *Stage, c Conf) Answer {
	GinkgoHelper()
	begin := time.Now()
	answer := s.Status(c)
	took := time.Since(begin)
	AddReportEntry("STATUS took", took, ReportEntryVisibilityAlways)
	Expect(took).To(BeNumerically("<", time.Second))
	return answer
}

// fill takes all blocks and inodes of a small file system. free gives one of them back.
func fill(dir string) (free func()) {
	GinkgoHelper()
	page := make([]byte, os.Getpagesize())
	var files []string
	for i := 0; ; i++ {
		path := filepath.Join(dir, fmt.Sprint("filler", i))
		err := os.WriteFile(path, page, 0o600)
		if _, missing := os.Stat(path); missing == nil {
			files = append(files, path)
		}
		if err != nil {
			break
		}
	}
	return func() {
		GinkgoHelper()
		Expect(files).NotTo(BeEmpty())
		Expect(os.Remove(files[0])).To(Succeed())
		files = files[1:]
	}
}

var _ = Describe("a bridge is refused", func() {
	It("that is a link of another kind", func() {
		s := newStage()
		Inside(s.Host, func() error {
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: BridgeName}, PeerName: "peer"})
		})
		refuse(s, addCall(s, nil), 101, BridgeName, "veth")
	})

	It("that somebody else made, with an address of another subnet", func() {
		s := newStage()
		foreignBridge(s, "10.99.0.1/24")
		refuse(s, addCall(s, nil), 101, BridgeName, "10.99.0.1")
	})
})

// foreignBridge is one that an administrator made.
func foreignBridge(s *Stage, addr string) {
	GinkgoHelper()
	Inside(s.Host, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: BridgeName, HardwareAddr: parseMAC("02:aa:00:00:00:01")}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(bridge); err != nil {
			return err
		}
		return netlink.AddrAdd(bridge, ParseAddr(addr))
	})
}
