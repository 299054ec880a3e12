package operator_test

import (
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/libcni"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// scattered is a node whose list has its plugins in a drop-in folder: all, or portmap alone.
func scattered(all bool) *Node {
	GinkgoHelper()
	n := newNode(nil)
	bridge := n.Bridge(stage.SubnetV4, stage.SubnetV6).With(stage.Conf{"hairpinMode": true, "name": nil})
	list := stage.Conf{"cniVersion": stage.Newest, "name": stage.NetworkName}
	if all {
		n.write(n.conf(stage.NetworkName, "10-bridge.conf"), string(stage.Encode(bridge)))
	} else {
		list["plugins"] = []stage.Conf{bridge}
	}
	n.write(n.conf(stage.NetworkName, "20-portmap.conf"), string(stage.Encode(stage.Portmap())))
	n.write(n.conf("10-lan.conflist"), string(stage.Encode(list)))
	whole, err := libcni.NetworkConfFromFile(n.conf("10-lan.conflist"))
	Expect(err).NotTo(HaveOccurred())
	Expect(whole.Plugins).To(HaveLen(2))
	n.Net, err = n.Host.NetworkOf(whole, n.Bin, filepath.Join(n.Dir, "cache"))
	Expect(err).NotTo(HaveOccurred())
	n.add("web", stage.Port("tcp", 8080, 80))
	stage.Serve(n.Boxes[0].Space, "tcp", 80)
	stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "8080", stage.OutsideV4)
	return n
}

var _ = Describe("a list with a drop-in folder", func() {
	for name, all := range map[string]bool{"of all plugins": true, "of portmap": false} {
		It("is read as libcni does, with a folder "+name, func() {
			n := scattered(all)
			n.expectWell()
			Expect(n.ok("lint")).To(Equal("1 file: 0 errors, 0 warnings\n"))
			Expect(n.ok("plan", "--port", "8081:80")).To(And(ContainSubstring("type veth"), ContainSubstring("8081")))
			n.nft("flush ruleset")
			stage.ExpectRefused(n.Outside, "tcp", stage.HostV4, "8080")
			Expect(n.state("web")).To(Equal("drift"))
			n.ok("repair")
			stage.ExpectSeen(n.Outside, "tcp", stage.HostV4, "8080", stage.OutsideV4)
			n.expectWell()
			Expect(os.Remove(n.conf(stage.NetworkName, "20-portmap.conf"))).To(Succeed())
			n.write(n.conf(stage.NetworkName, "20-portmap.conf"), "{")
			names, _ := n.found()
			Expect(names).To(ContainElement("conf-broken"))
		})
	}
})
