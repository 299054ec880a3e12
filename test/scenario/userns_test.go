package scenario_test

import (
	"errors"
	"os"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// lives takes a container through all verbs, with packets: in by a published port, out with the host's address.
func lives(s *Stage, b *Box, conf Conf) {
	GinkgoHelper()
	Serve(s.Outside, "tcp", 7000)
	n := s.Network(list(Newest, conf, Portmap()))
	for range 2 {
		b.Add(n, webPorts()...)
		b.Check(n, webPorts()...)
		server, err := b.Serve("tcp", "0.0.0.0:80")
		Expect(err).NotTo(HaveOccurred())
		ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
		Expect(server.Close()).To(Succeed())
		ExpectSeen(b.Space, "tcp", OutsideV4, "7000", HostV4, otherV4)
		ExpectSeen(b.Space, "tcp", OutsideV6, "7000", HostV6, otherV6)
		b.Del(n, webPorts()...)
		b.Del(n, webPorts()...)
	}
	Expect(n.Status()).To(Succeed())
	Expect(n.GC(nil)).To(Succeed())
	Expect(HasLink(s.Host, BridgeName)).To(BeFalse())
	Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	leases, _ := filepath.Glob(filepath.Join(s.Data(), NetworkName, "[0-9a-f]*"))
	Expect(leases).To(BeEmpty())
}

// The network namespace of a pod with "hostUsers: false" belongs to the pod's user namespace. Rootless podman
// and nerdctl run plugins, too, in one.
var _ = Describe("user namespaces", func() {
	It("a container in one", func() {
		s := newStage()
		u := NewUser(s)
		b := &Box{Space: u.Space("pod"), ID: "pod"}
		lives(s, b, bridge(s, SubnetV4, SubnetV6).With(Conf{"isDefaultGateway": true, "ipMasq": true, "ipspoofchk": true}))
	})

	It("plugins, host and container in one", func() {
		s := NewStage(GinkgoT())
		u := NewUser(s)
		s.Host = u.Space("rootless")
		s.Outside = s.QuietSpace("far")
		s.Must(errors.Join(
			s.Host.SetSysctl("net/ipv6/conf/default/accept_dad", "0"),
			Wire(s.Host, "uplink", HostV4+"/24,"+HostV6+"/64", s.Outside, "eth0", OutsideV4+"/24,"+OutsideV6+"/64"),
		))
		Expect(os.Chmod(s.Dir, 0o755)).To(Succeed())
		u.Owns(s.Dir)
		s.Bin = u.Programs(s.Bin, filepath.Join(s.Dir, "bin"), "bridge", "portmap", "host-local")
		b := &Box{Space: u.Space("inner"), ID: "inner"}
		lives(s, b, bridge(s, SubnetV4, SubnetV6).With(Conf{"isDefaultGateway": true, "ipMasq": true}))
	})
})
