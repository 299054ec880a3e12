package operator_test

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// advice are checks whose fix is something to do by a person, or by a program that this node
// has not: a firewall's, a daemon's.
var advice = []string{
	"firewalld", "ufw", "port-shadowed", "port-listener", "nat-legacy", "nat-priority", "subnet-overlap-network", "subnet-overlap-route", "mac-duplicate",
	"ip-duplicate", "network-manager", "networkd", "half-attached", "unsure", "pool-full", "conntrack-full", "bridge-full", "conf-broken", "cni-version",
	"reply-uplink", "egress-idle", "plugin-missing", "plugin-mixed", "plugin-version", "lease-writable",
}

// fixes are what doctor prints for the check, with the paths of this run.
func (n *Node) fixes(check string) (list []string) {
	GinkgoHelper()
	r := n.raw("doctor", "-o", "json")
	var out struct{ Findings []struct{ Check, Fix string } }
	Expect(json.Unmarshal([]byte(r), &out)).To(Succeed(), r)
	for _, f := range out.Findings {
		if f.Check == check {
			list = append(list, f.Fix)
		}
	}
	return list
}

var _ = Describe("a fix that doctor prints", func() {
	for _, c := range sick {
		if slices.Contains(advice, c.check) {
			continue
		}
		It("takes "+c.check+" away", func() {
			n := three()
			c.breaks(n)
			// gc keeps what is young: an ADD may be on its way.
			old := time.Now().Add(-time.Hour)
			Expect(filepath.WalkDir(n.Dir, func(path string, d os.DirEntry, err error) error {
				if err == nil && !d.IsDir() && c.check != "lease-clock" && !strings.HasPrefix(path, n.Bin) {
					_ = os.Chtimes(path, old, old)
				}
				return nil
			})).To(Succeed())
			var fixes []string
			Eventually(func() []string { fixes = n.fixes(c.check); return fixes }).ShouldNot(BeEmpty())
			script := fmt.Sprintf("bridgeport() { %s %s \"$@\"; }\n", filepath.Join(n.Bin, "bridgeport"), strings.Join(n.flags(), " "))
			out := n.shell(script + strings.Join(fixes, "\n"))
			Eventually(func() []string { return n.fixes(c.check) }).Should(BeEmpty(), "%q\n%s", fixes, out)
		})
	}
})

var _ = Describe("a node without containers of ours", func() {
	It("is well before the first container", func() {
		n := newNode(nil)
		n.sysctl("net/ipv4/ip_forward", "0")
		n.sysctl("net/ipv6/conf/all/forwarding", "0")
		n.expectWell()
		n.ok("init", "--force", "--name", "another", "--bridge", "fresh0", "--subnet", "10.99.0.0/24")
		n.expectWell()
	})

	It("is well with the reference alone", func() {
		n := newNode(nil)
		n.Bin = stage.Reference(GinkgoT(), "bridge", "portmap", "host-local")
		ours := stage.Plugins(GinkgoT(), "bridgeport")
		n.Net = n.Network(conflist(n.Stage, nil))
		n.add("theirs", stage.Port("tcp", 8080, 80))
		reference := n.Bin
		n.binWith("bridgeport", filepath.Join(ours, "bridgeport"))
		for _, p := range []string{"bridge", "portmap", "host-local"} {
			n.write(filepath.Join(n.Bin, p), stage.Read(GinkgoT(), filepath.Join(reference, p)))
		}
		Expect(n.state("theirs")).To(Equal("foreign"))
		n.expectWell()
		Expect(n.ok("repair")).To(Equal("nothing to mend\n"))
		Expect(n.ok("who", "8080")).NotTo(ContainSubstring("missing"))
	})
})
