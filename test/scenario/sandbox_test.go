package scenario_test

import (
	"context"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// dnsmasq runs in a space until the spec ends.
func dnsmasq(s *Space, args ...string) {
	GinkgoHelper()
	cmd := exec.Command("dnsmasq", append([]string{"--keep-in-foreground", "--no-hosts", "--user=root"}, args...)...)
	cmd.Stdout, cmd.Stderr = GinkgoWriter, GinkgoWriter
	Expect(s.Do(cmd.Start)).To(Succeed())
	DeferCleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	})
}

// resolve asks a resolver for a name's IPv4 addresses.
func resolve(s *Space, resolver, name string) (addrs []string, err error) {
	GinkgoHelper()
	err = s.Do(func() error {
		var d net.Dialer
		c, err := d.Dial("udp", net.JoinHostPort(resolver, "53")) // in this space: the library's goroutines are elsewhere
		if err != nil {
			return err
		}
		used := false
		r := net.Resolver{PreferGo: true, Dial: func(ctx context.Context, network, address string) (net.Conn, error) {
			if used {
				return nil, net.ErrClosed
			}
			used = true
			return c, nil
		}}
		ctx, stop := context.WithTimeout(context.Background(), Patience)
		defer stop()
		ips, err := r.LookupIP(ctx, "ip4", name+".")
		for _, ip := range ips {
			addrs = append(addrs, ip.String())
		}
		return err
	})
	return addrs, err
}

var _ = It("a sandbox reaches two names and one subnet: conf/sandbox as it is, with dnsmasq", func() {
	s := newStage()
	dir := filepath.Join(s.Dir, "net.d")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	sample := Read(GinkgoT(), filepath.Join(confDir, "sandbox", "sandbox.conflist"))
	Expect(strings.Count(sample, "\n")).To(BeNumerically("<=", 13))
	Expect(os.WriteFile(filepath.Join(dir, "sandbox.conflist"), []byte(sample), 0o644)).To(Succeed())
	b := s.Container()
	cnitool(s, b, dir, "add", "sandbox", nil)

	// The outside's resolver knows more than the sandbox may ask.
	names := map[string]string{"example.com": FarV4, "example.org": "198.51.100.10", "evil.test": "198.51.100.11"}
	args := []string{"--no-resolv", "--conf-file=/dev/null", "--pid-file="}
	for name, at := range names {
		Expect(s.Outside.Address("lo", at+"/32")).To(Or(Succeed(), MatchError(ContainSubstring("exists"))))
		Expect(s.Host.Route(at+"/32", OutsideV4)).To(Or(Succeed(), MatchError(ContainSubstring("exists"))))
		args = append(args, "--address=/"+name+"/"+at)
	}
	dnsmasq(s.Outside, args...)
	conf := filepath.Join(s.Dir, "dnsmasq.conf")
	text := strings.ReplaceAll(Read(GinkgoT(), filepath.Join(confDir, "sandbox", "dnsmasq.conf")), "9.9.9.9", OutsideV4)
	text = strings.ReplaceAll(text, "/run/dnsmasq", filepath.Join(s.Dir, "dnsmasq"))
	Expect(os.WriteFile(conf, []byte(text), 0o644)).To(Succeed())
	dnsmasq(s.Host, "--conf-file="+conf)
	for _, port := range []uint16{80, 443} {
		Serve(s.Outside, "tcp", port)
	}

	reaches := func(at, port string) bool { return Reaches(b.Space, "tcp", at, port) }
	for _, at := range names {
		Expect(reaches(at, "443")).To(BeFalse(), "before it was resolved")
	}
	for _, name := range []string{"example.com", "example.org"} {
		Eventually(func() ([]string, error) { return resolve(b.Space, "10.99.0.1", name) }, 3*Patience, 100*time.Millisecond).Should(ConsistOf(names[name]))
		Expect(reaches(names[name], "443")).To(BeTrue(), name)
		Expect(reaches(names[name], "80")).To(BeFalse(), "another port")
	}
	_, err := resolve(b.Space, "10.99.0.1", "evil.test")
	Expect(err).To(HaveOccurred())
	_, err = resolve(b.Space, OutsideV4, "evil.test")
	Expect(err).NotTo(HaveOccurred(), "the subnet that is allowed has a resolver: an entry is an entry")
	Expect(reaches(names["evil.test"], "443")).To(BeFalse())
	Expect(reaches(OutsideV4, "80")).To(BeTrue(), "the subnet")
	Serve(s.Host, "tcp", 8443)
	Expect(reaches("10.99.0.1", "8443")).To(BeFalse(), "the host")
	cnitool(s, b, dir, "check", "sandbox", nil)
	cnitool(s, b, dir, "del", "sandbox", nil)
})
