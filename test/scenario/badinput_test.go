package scenario_test

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// refuse runs ADD with the prepared call and wants an error that changes nothing.
func (s *stage) refuse(c lab.Call, code uint, texts ...string) {
	GinkgoHelper()
	before := s.settled()
	expectError(s.run(c), code, texts...)
	s.expectEqual(before)
}

// addCall is an ADD of bridge that would work, to be spoiled.
func (s *stage) addCall(change conf) lab.Call {
	GinkgoHelper()
	b := s.container()
	return lab.Call{
		Plugin: "bridge", Command: "ADD", ContainerID: b.id, Netns: b.Path, IfName: "eth0",
		Config: s.bridge(subnetV4).with(change).stdin(),
	}
}

var _ = DescribeTable("stdin that is no configuration is refused", func(stdin []byte, code int, texts ...string) {
	for _, plugin := range []string{"bridge", "portmap", "host-local"} {
		s := newStage()
		c := s.addCall(nil)
		c.Plugin, c.Config = plugin, stdin
		s.refuse(c, uint(code), texts...)
	}
},
	Entry("garbage", []byte("\x00\xffgarbage{"), 6, "JSON"),
	Entry("cut off", []byte(`{"cniVersion": "1.1.0", "name": "lan", "type": "bri`), 6, "JSON"),
	Entry("empty", []byte{}, 6, "JSON"),
	Entry("a list", []byte(`[1, 2]`), 6, "network configuration"),
	Entry("name of a wrong type", []byte(`{"cniVersion": "1.1.0", "name": 7}`), 6, "name", "string"),
	Entry("name missing", []byte(`{"cniVersion": "1.1.0"}`), 7, "name"),
	Entry("2 MiB", bytes.Repeat([]byte(" "), 2<<20), 6, "stdin", "1048576"),
	Entry("nested too deep", []byte(strings.Repeat("[", 100_000)), 6),
)

var _ = DescribeTable("a configuration of bridge is refused", func(change func(*stage) conf, code int, texts ...string) {
	s := newStage()
	s.refuse(s.addCall(change(s)), uint(code), texts...)
},
	Entry("mtu of a wrong type", fixed(conf{"mtu": "big"}), 6, "mtu"),
	Entry("isGateway of a wrong type", fixed(conf{"isGateway": "yes"}), 6, "isGateway"),
	Entry("ipam of a wrong type", fixed(conf{"ipam": 7}), 6, "ipam"),
	Entry("name empty", fixed(conf{"name": ""}), 7, "name"),
	Entry("name with a slash", fixed(conf{"name": "../../etc"}), 7, "name", "../../etc"),
	Entry("unknown cniVersion", fixed(conf{"cniVersion": "9.9.9"}), 1, "cniVersion", "9.9.9"),
	Entry("mtu negative", fixed(conf{"mtu": -1}), 7, "mtu", "-1"),
	Entry("mtu above the kernel's limit", fixed(conf{"mtu": 100_000}), 7, "mtu", "100000"),
	Entry("hairpinMode with promiscMode", fixed(conf{"hairpinMode": true, "promiscMode": true}), 7, "hairpinMode", "promiscMode"),
	Entry("vlan out of range", fixed(conf{"vlan": 5000}), 7, "vlan", "5000"),
	Entry("vlanTrunk with a null entry", fixed(conf{"vlanTrunk": []any{nil}}), 7, "vlanTrunk", "null"),
	Entry("bridge name too long", fixed(conf{"bridge": "a-very-long-bridge-name"}), 7, "bridge", "a-very-long-bridge-name"),
	Entry("bridge name empty", fixed(conf{"bridge": ""}), 7, "bridge"),
	Entry("bridge name with a slash", fixed(conf{"bridge": "a/b"}), 7, "bridge", "a/b"),
	Entry("unknown ipMasqBackend", fixed(conf{"ipMasqBackend": "pf"}), 7, "ipMasqBackend", "pf"),
	Entry("disableContainerInterface with ipam", fixed(conf{"disableContainerInterface": true}), 7, "disableContainerInterface", "ipam"),
	Entry("bad MAC in runtimeConfig", fixed(conf{"runtimeConfig": conf{"mac": "zz"}}), 7, "mac", "zz"),
	Entry("bad MAC in args.cni", fixed(conf{"args": conf{"cni": conf{"mac": "02:00:00"}}}), 7, "mac", "02:00:00"),
	Entry("multicast MAC", fixed(conf{"runtimeConfig": conf{"mac": "01:00:5e:00:00:01"}}), 7, "mac", "01:00:5e:00:00:01"),
	Entry("MAC of zeros", fixed(conf{"runtimeConfig": conf{"mac": "00:00:00:00:00:00"}}), 7, "mac", "00:00:00:00:00:00"),
	Entry("MAC of an InfiniBand link", fixed(conf{"runtimeConfig": conf{"mac": "02:00:00:00:00:00:00:01"}}), 7, "mac"),
	Entry("ipam.type with a path", fixed(conf{"ipam": conf{"type": "../host-local"}}), 7, "ipam", "../host-local"),
	Entry("subnet not a CIDR", ranged(conf{"subnet": "10.60.0.0"}), 7, "subnet", "10.60.0.0"),
	Entry("subnet with host bits", ranged(conf{"subnet": "10.60.0.7/24"}), 7, "subnet", "10.60.0.7/24", subnetV4),
	Entry("subnet too small", ranged(conf{"subnet": "10.60.0.0/31"}), 7, "subnet", "10.60.0.0/31"),
	Entry("subnet missing", ranged(conf{"rangeStart": "10.60.0.7"}), 7, "subnet"),
	Entry("gateway outside the subnet", ranged(conf{"subnet": subnetV4, "gateway": "10.61.0.1"}), 7, "gateway", "10.61.0.1", subnetV4),
	Entry("gateway not an address", ranged(conf{"subnet": subnetV4, "gateway": "first"}), 7, "gateway", "first"),
	Entry("rangeStart outside the subnet", ranged(conf{"subnet": subnetV4, "rangeStart": "10.61.0.7"}), 7, "rangeStart", "10.61.0.7", subnetV4),
	Entry("rangeEnd outside the subnet", ranged(conf{"subnet": subnetV4, "rangeEnd": "10.61.0.7"}), 7, "rangeEnd", "10.61.0.7", subnetV4),
	Entry("rangeStart after rangeEnd", ranged(conf{"subnet": subnetV4, "rangeStart": "10.60.0.9", "rangeEnd": "10.60.0.8"}), 7, "rangeStart", "10.60.0.9", "10.60.0.8"),
	Entry("no ranges", func(s *stage) conf { return conf{"ipam": s.ipam()} }, 7, "ranges"),
	Entry("overlapping range sets", func(s *stage) conf { return conf{"ipam": s.ipam(subnetV4, "10.60.0.0/16")} }, 7, "range", "overlap"),
	Entry("families mixed in a set", func(s *stage) conf {
		return conf{"ipam": s.ipam().with(conf{"ranges": [][]conf{{{"subnet": subnetV4}, {"subnet": subnetV6}}}})}
	}, 7, "range", "famil"),
	Entry("route not a CIDR", func(s *stage) conf {
		return conf{"ipam": s.ipam(subnetV4).with(conf{"routes": []conf{{"dst": "somewhere"}}})}
	}, 7, "dst", "somewhere"),
	Entry("requested address out of the range", fixed(conf{"runtimeConfig": conf{"ips": []string{"10.99.0.1"}}}), 7, "10.99.0.1"),
	Entry("requested address not an address", fixed(conf{"runtimeConfig": conf{"ips": []string{"mine"}}}), 7, "ips", "mine"),
	Entry("requested address is the gateway", fixed(conf{"runtimeConfig": conf{"ips": []string{gatewayV4}}}), 7, gatewayV4),
)

// fixed is a change that needs nothing of the stage.
func fixed(c conf) func(*stage) conf { return func(*stage) conf { return c } }

// ranged is one range in place of the usual one.
func ranged(r conf) func(*stage) conf {
	return func(s *stage) conf {
		return conf{"ipam": s.ipam().with(conf{"ranges": [][]conf{{r}}})}
	}
}

var _ = DescribeTable("a port mapping is refused", func(mapping map[string]any, code int, texts ...string) {
	s := newStage()
	b := s.container()
	zero := 0
	attached := &types100.Result{
		CNIVersion: newest,
		Interfaces: []*types100.Interface{{Name: "eth0", Sandbox: b.Path}},
		IPs:        []*types100.IPConfig{{Interface: &zero, Address: *parseAddr(firstV4 + "/24").IPNet}},
	}
	s.refuse(lab.Call{
		Plugin: "portmap", Command: "ADD", ContainerID: b.id, Netns: b.Path, IfName: "eth0",
		Config: portmap().with(conf{"prevResult": attached, "runtimeConfig": conf{"portMappings": []any{mapping}}}).stdin(),
	}, uint(code), texts...)
},
	Entry("hostPort 0", port("tcp", 0, 80), 7, "hostPort", "0"),
	Entry("hostPort 70000", port("tcp", 70000, 80), 7, "hostPort", "70000"),
	Entry("hostPort negative", port("tcp", -1, 80), 7, "hostPort", "-1"),
	Entry("containerPort 0", port("tcp", 8080, 0), 7, "containerPort", "0"),
	Entry("containerPort 70000", port("tcp", 8080, 70000), 7, "containerPort", "70000"),
	Entry("hostPort of a wrong type", map[string]any{"hostPort": "8080", "containerPort": 80, "protocol": "tcp"}, 6, "hostPort", "string"),
	Entry("unknown protocol", port("icmp", 8080, 80), 7, "protocol", "icmp"),
	Entry("hostIP not an address", on("localhost", "tcp", 8080, 80), 7, "hostIP", "localhost"),
	Entry("hostIP with a zone", on("fe80::1%eth0", "tcp", 8080, 80), 7, "hostIP", "fe80::1%eth0"),
	Entry("hostIP of a family that the container lacks", on(hostV6, "tcp", 8080, 80), 7, "hostIP", hostV6),
)

var _ = Describe("portmap refuses to be", func() {
	It("the first of the chain", func() {
		s := newStage()
		c := s.addCall(nil)
		c.Plugin, c.Config = "portmap", portmap().with(conf{"runtimeConfig": conf{"portMappings": webPorts()}}).stdin()
		s.refuse(c, 7, "prevResult")
	})
})

var _ = Describe("leases are refused", func() {
	It("from an exhausted pool, telling the pool", func() {
		s := newStage()
		ipam := conf{"ipam": s.ipam("10.60.0.0/30")}
		s.attach(s.bridge(subnetV4).with(ipam))
		s.refuse(s.addCall(ipam), 102, "10.60.0.1-10.60.0.2")
	})

	It("where the directory is read-only", func() {
		s := newStage()
		dir := filepath.Join(s.dir, "readonly")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		Expect(unix.Mount("lab", dir, "tmpfs", unix.MS_RDONLY, "")).To(Succeed())
		DeferCleanup(unix.Unmount, dir, 0)
		s.refuse(s.addCall(conf{"ipam": s.ipam(subnetV4).with(conf{"dataDir": dir})}), 5, dir)
	})

	It("where the directory is a file", func() {
		s := newStage()
		file := filepath.Join(s.dir, "file")
		Expect(os.WriteFile(file, nil, 0o644)).To(Succeed())
		s.refuse(s.addCall(conf{"ipam": s.ipam(subnetV4).with(conf{"dataDir": file})}), 5, file)
	})
})

var _ = Describe("a bridge is refused", func() {
	It("that is a link of another kind", func() {
		s := newStage()
		inside(s.host, func() error {
			return netlink.LinkAdd(&netlink.Veth{LinkAttrs: netlink.LinkAttrs{Name: bridgeName}, PeerName: "peer"})
		})
		s.refuse(s.addCall(nil), 101, bridgeName, "veth")
	})

	It("that somebody else made, with an address of another subnet", func() {
		s := newStage()
		foreignBridge(s, "10.99.0.1/24")
		s.refuse(s.addCall(nil), 101, bridgeName, "10.99.0.1")
	})
})

// foreignBridge is one that an administrator made.
func foreignBridge(s *stage, addr string) {
	GinkgoHelper()
	inside(s.host, func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, HardwareAddr: parseMAC("02:aa:00:00:00:01")}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		if err := netlink.LinkSetUp(bridge); err != nil {
			return err
		}
		return netlink.AddrAdd(bridge, parseAddr(addr))
	})
}
