package packets_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// busConfig is a system bus on which root may do everything.
const busConfig = `<!DOCTYPE busconfig PUBLIC "-//freedesktop//DTD D-Bus Bus Configuration 1.0//EN"
 "http://www.freedesktop.org/standards/dbus/1.0/busconfig.dtd">
<busconfig>
  <type>system</type>
  <listen>unix:path=%s</listen>
  <auth>EXTERNAL</auth>
  <policy context="default">
    <allow user="root"/>
    <allow own="*"/>
    <allow send_destination="*"/>
    <allow receive_sender="*"/>
  </policy>
</busconfig>
`

// firewalld is a real one, with a bus of its own, which governs the stage's host.
type firewalld struct {
	s    *Stage
	root string // of the unpacked packages
	env  []string
}

// startFirewalld starts bus and daemon, which end with the spec. backend is the daemon's
// own: nftables or iptables.
func startFirewalld(s *Stage, backend string) *firewalld {
	GinkgoHelper()
	f := &firewalld{s: s, root: filepath.Join(Root(GinkgoT()), ".cache/firewalld")}
	Expect(filepath.Join(f.root, "usr/sbin/firewalld")).To(BeAnExistingFile(), "run `make packages`")
	bus := filepath.Join(s.Dir, "bus")
	f.env = append(
		os.Environ(), "DBUS_SYSTEM_BUS_ADDRESS=unix:path="+bus,
		"PYTHONPATH="+filepath.Join(f.root, "usr/lib/python3/dist-packages"), "PYTHONDONTWRITEBYTECODE=1",
	)
	conf := filepath.Join(s.Dir, "bus.conf")
	Expect(os.WriteFile(conf, fmt.Appendf(nil, busConfig, bus), 0o644)).To(Succeed())
	f.start("dbus-daemon", "--config-file="+conf, "--nofork", "--nopidfile")
	Eventually(bus).WithTimeout(10 * Patience).Should(BeAnExistingFile())

	etc := filepath.Join(s.Dir, "etc")
	Expect(os.CopyFS(etc, os.DirFS(filepath.Join(f.root, "etc/firewalld")))).To(Succeed())
	file := filepath.Join(etc, "firewalld.conf")
	text, err := os.ReadFile(file)
	Expect(err).NotTo(HaveOccurred())
	chosen := strings.Replace(string(text), "FirewallBackend=nftables", "FirewallBackend="+backend, 1)
	Expect(chosen).To(ContainSubstring("\nFirewallBackend=" + backend + "\n"))
	Expect(os.WriteFile(file, []byte(chosen), 0o644)).To(Succeed())
	f.start(
		"/usr/bin/python3", filepath.Join(f.root, "usr/sbin/firewalld"), "--nofork", "--nopid",
		"--system-config", etc, "--default-config", filepath.Join(f.root, "usr/lib/firewalld"),
		"--log-target", "console",
	)
	Eventually(func() error { return f.command("--state").Run() }).WithTimeout(20 * Patience).WithPolling(100 * time.Millisecond).Should(Succeed())
	return f
}

// start runs a program in the host's namespace until the spec ends.
func (f *firewalld) start(name string, args ...string) {
	GinkgoHelper()
	cmd := exec.Command(name, args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = f.env, GinkgoWriter, GinkgoWriter
	cmd.SysProcAttr = &unix.SysProcAttr{Setpgid: true}
	Inside(f.s.Host, cmd.Start)
	DeferCleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()
	})
}

func (f *firewalld) command(args ...string) *exec.Cmd {
	cmd := exec.Command("/usr/bin/python3", append([]string{filepath.Join(f.root, "usr/bin/firewall-cmd")}, args...)...)
	cmd.Env = f.env
	return cmd
}

// reload is firewall-cmd --reload. On a slow machine it takes longer than a bus waits for
// an answer; the daemon answers the next question when it is done.
func (f *firewalld) reload() {
	GinkgoHelper()
	out, err := f.command("--reload").CombinedOutput()
	if strings.Contains(string(out), "Did not receive a reply") {
		Eventually(func() error { return f.command("--state").Run() }).WithTimeout(10 * Patience).Should(Succeed())
		return
	}
	Expect(err).NotTo(HaveOccurred(), "%s", out)
}

var _ = DescribeTableSubtree("a real firewalld with its backend", func(theirs string) {
	for _, b := range backends[:2] { // firewalld's iptables is the machine's
		It("reloads, with "+b.String(), func() { reload(theirs, b) })
	}
},
	Entry("nftables", "nftables"),
	Entry("iptables", "iptables"),
)

// reload publishes a port, reloads firewalld while a client asks, and
// wants to know what is left.
func reload(theirs string, b backend) {
	h := newHome(b)
	daemon := startFirewalld(h.Stage, theirs)
	Serve(h.Outside, "tcp", 7000)
	h.forwardAccept = true
	first := h.moveIn(tcp(8080))
	stranger := serveOn(h.Host, "tcp", "0.0.0.0:8080") // whom nobody may be led to
	first.expectSound()
	first.expectMasqueraded()
	first.expectOutside(8080)
	ours := h.ours()

	stop := h.askOn("8080")
	daemon.reload()
	stop()
	Expect(stranger.Asked()).To(BeZero(), "a client of the published port reached the host's own server")

	portmap, bridge := first.checks()
	if b.name == "iptables" {
		By("it has flushed our rules, as all of iptables; CHECK says so")
		ExpectError(portmap, Drift, "PREROUTING", "8080")
	} else {
		By("our own rules are whole, and the port is open")
		Expect(h.ours()).To(Equal(ours))
		ExpectOK("CHECK", portmap)
		first.expectOutside(8080)
	}
	By("its own rules have lost ours, and CHECK says so")
	ExpectError(bridge, Drift, "forwarding is blocked")

	By("the next ADD brings back what is shared")
	second := h.moveIn(tcp(8081))
	second.expectSound()
	second.expectMasqueraded()
	second.expectOutside(8081)
	if portmap.Exit == 0 {
		first.expectSound()
		first.expectMasqueraded()
		first.expectOutside(8080)
	}
}

var counted = regexp.MustCompile(`packets \d+ bytes \d+`)

// ours are our own rules as text, without what they have counted.
func (h *home) ours() string {
	GinkgoHelper()
	if h.backend.name == "iptables" {
		return Xtables.Saved(NewXtables(h.Stage, h.backend.xtables), h.Host, Families...)
	}
	return counted.ReplaceAllString(Program(h.Host, "", "nft", "list", "table", "inet", "bridgeport"), "")
}

// expectOutside wants the outside to be led to the container.
func (r *resident) expectOutside(port int) {
	GinkgoHelper()
	served(r.servedBy, r.home.Outside, HostV4, fmt.Sprint(port), OutsideV4)
}

// askOn asks a port from the outside again and again, until the returned function is
// called. Whether there is an answer is for the servers to count.
func (h *home) askOn(port string) (stop func()) {
	var asking sync.WaitGroup
	end := make(chan bool)
	asking.Go(func() {
		for {
			select {
			case <-end:
				return
			case <-time.After(Haste / 20):
				_, _ = h.Outside.Ask("tcp", HostV4+":"+port, Haste)
			}
		}
	})
	return func() {
		close(end)
		asking.Wait()
	}
}
