package features_test

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("a network that is given another subnet", func() {
	var (
		s        *Stage
		old, now Conf
	)
	BeforeEach(func() {
		s = NewStage(GinkgoT())
		old = s.Bridge(SubnetV4, SubnetV6)
		now = s.Bridge(newSubnetV4, newSubnetV6)
	})
	both := []string{GatewayV4 + "/24", GatewayV6 + "/64", newGatewayV4 + "/24", newGatewayV6 + "/64"}
	latest := []string{newGatewayV4 + "/24", newGatewayV6 + "/64"}

	It("keeps its old gateway until the last old address goes by DEL", func() {
		a, aResult := s.Attach(old)
		b, bResult := s.Attach(old)
		c, cResult := s.Attach(now)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		ExpectPing(a.Space, GatewayV4, GatewayV6, newFirstV4)
		ExpectPing(c.Space, newGatewayV4, newGatewayV6, FirstV4)
		s.Del(a, now, aResult)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		ExpectPing(b.Space, GatewayV4, GatewayV6, newFirstV4)
		s.Del(b, now, bResult)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
		ExpectOK("CHECK", s.Check(c, now, cResult))
		ExpectPing(c.Space, newGatewayV4, newGatewayV6)
	})

	It("or by GC", func() {
		s.Attach(old)
		b, _ := s.Attach(old)
		c, cResult := s.Attach(now)
		s.GC(now, b, c)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		s.GC(now, c)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
		ExpectOK("CHECK", s.Check(c, now, cResult))
	})

	It("never takes the gateway of another network that uses the subnet, too", func() {
		other := old.With(Conf{"name": "other"})
		a, aResult := s.Attach(old)
		_, _ = s.Attach(now)
		b, _ := s.Attach(other)
		s.Del(a, now, aResult)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(both))
		ExpectPing(b.Space, GatewayV4, GatewayV6)
	})

	It("waits for no other network's lock, and makes none", func() {
		stuck := filepath.Join(s.Data(), "stuck")
		Expect(os.MkdirAll(stuck, 0o755)).To(Succeed())
		Expect(os.Mkdir(filepath.Join(s.Data(), "empty"), 0o755)).To(Succeed())
		lock, err := os.Create(filepath.Join(stuck, "lock"))
		Expect(err).NotTo(HaveOccurred())
		defer lock.Close()
		Expect(unix.Flock(int(lock.Fd()), unix.LOCK_EX)).To(Succeed())
		begin := time.Now()
		a, aResult := s.Attach(old)
		s.Del(a, old, aResult)
		b, _ := s.Attach(now) // looks for leases in the old subnet
		c, cResult := s.Attach(old)
		s.Del(c, now, cResult) // looks, too
		s.GC(now, b)
		Expect(time.Since(begin)).To(BeNumerically("<", 20*time.Second))
		Expect(filepath.Join(s.Data(), "empty", "lock")).NotTo(BeAnExistingFile())
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
	})

	It("has only the new gateway where nothing was plugged in any more", func() {
		a, aResult := s.Attach(old)
		s.Del(a, old, aResult)
		s.Attach(now)
		Expect(Addrs(s.Host, BridgeName)).To(ConsistOf(latest))
	})
})
