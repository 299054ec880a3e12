package scenario_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/version"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
)

// fresh is a container whose lo is down, as a runtime hands it over.
func fresh(s *Stage) *Box {
	GinkgoHelper()
	b := s.Container()
	Change(b.Space, "lo", netlink.LinkSetDown)
	return b
}

func loopbackIsUp(space *Space) bool {
	GinkgoHelper()
	return Link(space, "lo").Attrs().Flags&net.FlagUp != 0
}

func loopback(s *Stage, b *Box, command string, more Conf) Answer {
	GinkgoHelper()
	c := Conf{"type": "loopback", "cniVersion": "1.1.0"}.With(more)
	return s.Run(Call{Plugin: "loopback", Command: command, ContainerID: b.ID, Netns: b.Path, IfName: "lo", Config: c.Stdin()})
}

var _ = Describe("loopback", func() {
	// Before 1.0.0 the reference prints the new form of the result under the old number.
	It("answers as the reference does", func() {
		s := newStage()
		for _, v := range []string{"1.0.0", "1.1.0"} {
			config := Conf{"type": "loopback", "cniVersion": v}.Stdin()
			var results [2]string
			for i, dir := range []string{s.Bin, Reference(GinkgoT(), "loopback")} {
				b := fresh(s)
				call := Call{Plugin: "loopback", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "lo", Config: config}
				a, err := s.Host.CNI(dir, call)
				Expect(err).NotTo(HaveOccurred())
				ExpectOK("ADD", a)
				results[i] = strings.ReplaceAll(string(a.Stdout), b.Path, "NETNS")
				Expect(loopbackIsUp(b.Space)).To(BeTrue())
			}
			Expect(results[0]).To(MatchJSON(results[1]), "cniVersion %s", v)
		}
	})

	It("answers in each version of the specification", func() {
		s := newStage()
		for _, v := range version.All.SupportedVersions() {
			b := fresh(s)
			add := loopback(s, b, "ADD", Conf{"cniVersion": v})
			ExpectOK("ADD", add)
			Expect(decode(add.Stdout).CNIVersion).To(Equal(v))
			Expect(add.Result.IPs).To(HaveLen(2))
			Expect(add.Result.IPs[0].Address.String()).To(Equal("127.0.0.1/8"))
			Expect(add.Result.IPs[1].Address.String()).To(Equal("::1/128"))
		}
	})

	It("brings lo up and takes it down", func() {
		s := newStage()
		b := fresh(s)
		add := loopback(s, b, "ADD", nil)
		ExpectOK("ADD", add)
		Expect(decode(add.Stdout).IPs).To(HaveLen(2))
		Serve(b.Space, "tcp", 80)
		ExpectSeen(b.Space, "tcp", "127.0.0.1", "80", "127.0.0.1")
		ExpectOK("ADD", loopback(s, b, "ADD", nil)) // containerd may repeat it
		ExpectOK("CHECK", loopback(s, b, "CHECK", Conf{"prevResult": json.RawMessage(add.Stdout)}))
		ExpectOK("STATUS", loopback(s, b, "STATUS", nil))
		ExpectOK("GC", loopback(s, b, "GC", Conf{"cni.dev/valid-attachments": []any{}}))
		Expect(loopbackIsUp(b.Space)).To(BeTrue())
		ExpectOK("DEL", loopback(s, b, "DEL", Conf{"prevResult": json.RawMessage(add.Stdout)}))
		Expect(loopbackIsUp(b.Space)).To(BeFalse())
		ExpectOK("DEL", loopback(s, b, "DEL", nil))
	})

	It("tells what has changed", func() {
		s := newStage()
		b := fresh(s)
		add := loopback(s, b, "ADD", nil)
		prev := Conf{"prevResult": json.RawMessage(add.Stdout)}
		Inside(b.Space, func() error {
			lo, err := netlink.LinkByName("lo")
			if err != nil {
				return err
			}
			addr, err := netlink.ParseAddr("127.0.0.1/8")
			if err != nil {
				return err
			}
			return netlink.AddrDel(lo, addr)
		})
		ExpectError(loopback(s, b, "CHECK", prev), cni.CodeDrift, "lo", "address 127.0.0.1/8 is missing")
		ExpectOK("CHECK", loopback(s, b, "CHECK", nil)) // without a result there is only the state
		Change(b.Space, "lo", netlink.LinkSetDown)
		ExpectError(loopback(s, b, "CHECK", nil), cni.CodeDrift, "lo", "state is down, expected up")
	})

	It("passes a previous result on", func() {
		s := newStage()
		b := fresh(s)
		before := `{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/x"}],"ips":[{"interface":0,"address":"192.0.2.1/24"}]}`
		add := loopback(s, b, "ADD", Conf{"prevResult": json.RawMessage(before)})
		ExpectOK("ADD", add)
		Expect(add.Stdout).To(MatchJSON(before))
		Expect(loopbackIsUp(b.Space)).To(BeTrue())
		ExpectOK("CHECK", loopback(s, b, "CHECK", Conf{"prevResult": json.RawMessage(before)}))
		ExpectError(loopback(s, b, "ADD", Conf{"prevResult": "eth0"}), cni.CodeDecode, "prevResult")
	})

	It("needs no namespace for DEL, and leaves the host's alone", func() {
		s := newStage()
		b := fresh(s)
		own := &Box{Space: s.Host, ID: "own"}
		file := filepath.Join(s.Dir, "file")
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		for _, path := range []string{"", "/run/netns/gone", file} {
			call := Call{Plugin: "loopback", Command: "DEL", ContainerID: b.ID, Netns: path, IfName: "lo", Config: Conf{"type": "loopback"}.Stdin()}
			ExpectOK("DEL", s.Run(call))
			call.Command = "ADD"
			if path != "" {
				ExpectError(s.Run(call), cni.CodeNetns, "CNI_NETNS: "+path)
			}
		}
		ExpectOK("DEL", loopback(s, own, "DEL", nil))
		Expect(loopbackIsUp(s.Host)).To(BeTrue())
		ExpectError(loopback(s, own, "ADD", nil), cni.CodeNetns, "is the host's own network namespace")
	})
})
