package scenario_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/containernetworking/cni/pkg/version"
	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// fresh is a container whose lo is down, as a runtime hands it over.
func (s *stage) fresh() *box {
	GinkgoHelper()
	b := s.container()
	setLoopback(b.Space, netlink.LinkSetDown)
	return b
}

func setLoopback(space *lab.Space, set func(netlink.Link) error) {
	GinkgoHelper()
	lo := link(space, "lo")
	inside(space, func() error { return set(lo) })
}

func loopbackIsUp(space *lab.Space) bool {
	GinkgoHelper()
	return link(space, "lo").Attrs().Flags&net.FlagUp != 0
}

func (s *stage) loopback(b *box, command string, more conf) lab.Answer {
	GinkgoHelper()
	c := conf{"type": "loopback", "cniVersion": "1.1.0"}.with(more)
	return s.run(lab.Call{Plugin: "loopback", Command: command, ContainerID: b.id, Netns: b.Path, IfName: "lo", Config: c.stdin()})
}

var _ = Describe("loopback", func() {
	// Before 1.0.0 the reference prints the new form of the result under the old number.
	It("answers as the reference does", func() {
		s := newStage()
		for _, v := range []string{"1.0.0", "1.1.0"} {
			config := conf{"type": "loopback", "cniVersion": v}.stdin()
			var results [2]string
			for i, dir := range []string{bin, reference("loopback")} {
				b := s.fresh()
				call := lab.Call{Plugin: "loopback", Command: "ADD", ContainerID: b.id, Netns: b.Path, IfName: "lo", Config: config}
				a, err := s.host.CNI(dir, call)
				Expect(err).NotTo(HaveOccurred())
				expectOK("ADD", a)
				results[i] = strings.ReplaceAll(string(a.Stdout), b.Path, "NETNS")
				Expect(loopbackIsUp(b.Space)).To(BeTrue())
			}
			Expect(results[0]).To(MatchJSON(results[1]), "cniVersion %s", v)
		}
	})

	It("answers in each version of the specification", func() {
		s := newStage()
		for _, v := range version.All.SupportedVersions() {
			b := s.fresh()
			add := s.loopback(b, "ADD", conf{"cniVersion": v})
			expectOK("ADD", add)
			Expect(decode(add.Stdout).CNIVersion).To(Equal(v))
			Expect(add.Result.IPs).To(HaveLen(2))
			Expect(add.Result.IPs[0].Address.String()).To(Equal("127.0.0.1/8"))
			Expect(add.Result.IPs[1].Address.String()).To(Equal("::1/128"))
		}
	})

	It("brings lo up and takes it down", func() {
		s := newStage()
		b := s.fresh()
		add := s.loopback(b, "ADD", nil)
		expectOK("ADD", add)
		Expect(decode(add.Stdout).IPs).To(HaveLen(2))
		serve(b.Space, "tcp", 80)
		expectSeen(b.Space, "tcp", "127.0.0.1", "80", "127.0.0.1")
		expectOK("ADD", s.loopback(b, "ADD", nil)) // containerd may repeat it
		expectOK("CHECK", s.loopback(b, "CHECK", conf{"prevResult": json.RawMessage(add.Stdout)}))
		expectOK("STATUS", s.loopback(b, "STATUS", nil))
		expectOK("GC", s.loopback(b, "GC", conf{"cni.dev/valid-attachments": []any{}}))
		Expect(loopbackIsUp(b.Space)).To(BeTrue())
		expectOK("DEL", s.loopback(b, "DEL", conf{"prevResult": json.RawMessage(add.Stdout)}))
		Expect(loopbackIsUp(b.Space)).To(BeFalse())
		expectOK("DEL", s.loopback(b, "DEL", nil))
	})

	It("tells what has changed", func() {
		s := newStage()
		b := s.fresh()
		add := s.loopback(b, "ADD", nil)
		prev := conf{"prevResult": json.RawMessage(add.Stdout)}
		inside(b.Space, func() error {
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
		expectError(s.loopback(b, "CHECK", prev), cni.CodeDrift, "lo", "address 127.0.0.1/8 is missing")
		expectOK("CHECK", s.loopback(b, "CHECK", nil)) // without a result there is only the state
		setLoopback(b.Space, netlink.LinkSetDown)
		expectError(s.loopback(b, "CHECK", nil), cni.CodeDrift, "lo", "state is down, expected up")
	})

	It("passes a previous result on", func() {
		s := newStage()
		b := s.fresh()
		before := `{"cniVersion":"1.1.0","interfaces":[{"name":"eth0","sandbox":"/x"}],"ips":[{"interface":0,"address":"192.0.2.1/24"}]}`
		add := s.loopback(b, "ADD", conf{"prevResult": json.RawMessage(before)})
		expectOK("ADD", add)
		Expect(add.Stdout).To(MatchJSON(before))
		Expect(loopbackIsUp(b.Space)).To(BeTrue())
		expectOK("CHECK", s.loopback(b, "CHECK", conf{"prevResult": json.RawMessage(before)}))
		expectError(s.loopback(b, "ADD", conf{"prevResult": "eth0"}), cni.CodeDecode, "prevResult")
	})

	It("needs no namespace for DEL, and leaves the host's alone", func() {
		s := newStage()
		b := s.fresh()
		own := &box{Space: s.host, id: "own"}
		file := filepath.Join(s.dir, "file")
		Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
		for _, path := range []string{"", "/run/netns/gone", file} {
			call := lab.Call{Plugin: "loopback", Command: "DEL", ContainerID: b.id, Netns: path, IfName: "lo", Config: conf{"type": "loopback"}.stdin()}
			expectOK("DEL", s.run(call))
			call.Command = "ADD"
			if path != "" {
				expectError(s.run(call), cni.CodeNetns, "CNI_NETNS: "+path)
			}
		}
		expectOK("DEL", s.loopback(own, "DEL", nil))
		Expect(loopbackIsUp(s.host)).To(BeTrue())
		expectError(s.loopback(own, "ADD", nil), cni.CodeNetns, "is the host's own network namespace")
	})
})
