package operator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
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

// expectWell wants nothing to be found.
func (n *Node) expectWell() {
	GinkgoHelper()
	r := n.ran("doctor")
	Expect(r.Status).To(BeZero(), r.Out)
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
	}).Should(HaveOccurred())
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
			Eventually(func() []string { names, _ = n.found(); return names }).Should(ContainElement(c.check))
			for _, name := range names {
				Expect(append(c.besides, c.check)).To(ContainElement(name), "%v\n%s", names, n.ran("doctor").Out)
			}
		})
	}

	It("looks at networks of which neither a file nor libcni's cache tells", func() {
		n := three()
		Expect(os.RemoveAll(filepath.Join(n.Dir, "cache"))).To(Succeed())
		Expect(os.Remove(n.conf("10-lan.conflist"))).To(Succeed())
		n.ip("route add 10.60.0.64/26 via " + stage.OutsideV4)
		n.ip("address add 10.60.0.1/32 dev lan0")
		n.ip("link set uplink mtu 1400")
		n.sysctl("net/ipv4/ip_forward", "0")
		n.nft("table inet mine { chain forward { type filter hook forward priority 0; policy drop; } }")
		names, _ := n.found()
		Expect(names).To(ContainElements("subnet-overlap-route", "netmask-32", "mtu-path"))
		n.nft("flush ruleset")
		n.found()
		n.ip("link del lan0")
		n.found()
		for _, command := range []string{"ls", "graph", "exposure", "metrics"} {
			n.ok(command)
		}
	})

	It("has a spec for each check", func() {
		var listed []struct{ Name string }
		Expect(json.Unmarshal([]byte(three().ok("doctor", "--list", "-o", "json")), &listed)).To(Succeed())
		Expect(len(listed)).To(BeNumerically(">=", 30))
		tested := []string{"nf-tables", "br-netfilter", "kernel-old", "kernel-bug"} // the first and the last: plugins/bridgeport/doctor
		for _, c := range sick {
			tested = append(tested, c.check)
		}
		for _, c := range listed {
			Expect(tested).To(ContainElement(c.Name))
		}
		Expect(tested).To(HaveLen(len(listed)))
	})

	It("finds a missing chain that not each table has", func() {
		n := three()
		n.nft("delete chain inet bridgeport loopback6")
		names, _ := n.found()
		Expect(names).To(ConsistOf("drift"))
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
