// Package newcomer_test goes the way of somebody who tries Bridgeport on a node with running
// containers: clone, build, install, upgrade, roll back, uninstall. Clients never notice, and at
// the end the node is what it was.
package newcomer_test

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

func TestMain(m *testing.M) { Main(m.Run) }

func TestNewcomer(t *testing.T) {
	RegisterFailHandler(Fail)
	SetDefaultEventuallyTimeout(Patience)
	RunSpecs(t, "Newcomer")
}

// reference are the plugins that the node has before.
var reference = []string{"bridge", "portmap", "host-local", "loopback"}

// node is a host whose runtime looks for plugins in bin.
type node struct {
	*Stage
	bin, clone string
	net        *Network
}

func newNode(plugins ...string) *node {
	GinkgoHelper()
	n := &node{Stage: NewStage(GinkgoT())}
	n.bin, n.clone = filepath.Join(n.Dir, "opt"), filepath.Join(n.Dir, "clone")
	Expect(os.Mkdir(n.bin, 0o755)).To(Succeed())
	for _, name := range plugins {
		from := filepath.Join(Reference(GinkgoT(), reference...), name)
		Expect(os.WriteFile(filepath.Join(n.bin, name), []byte(Read(GinkgoT(), from)), 0o755)).To(Succeed())
	}
	// The sample that README names, as it is. Leases are in /var/lib/cni, which is this test's own.
	sample := Read(GinkgoT(), filepath.Join(Root(GinkgoT()), "conf/containerd/10-bridgeport.conflist"))
	var err error
	n.net, err = n.Host.Network([]byte(sample), n.bin, "/var/lib/cni")
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(os.RemoveAll, "/var/lib/cni")
	return n
}

// must runs a program in the folder of the clone, in the host's namespace.
func (n *node) must(words ...string) string {
	GinkgoHelper()
	out, err := n.run(words...)
	Expect(err).NotTo(HaveOccurred(), out)
	return out
}

func (n *node) run(words ...string) (out string, err error) {
	cmd := exec.Command(words[0], words[1:]...)
	cmd.Dir = n.clone
	err = n.Host.Do(func() error {
		data, err := cmd.CombinedOutput()
		out = string(data)
		return err
	})
	return out, err
}

// bridgeport is the installed command.
func (n *node) bridgeport(args ...string) []string {
	return append([]string{filepath.Join(n.bin, "bridgeport"), "--bin-dir", n.bin, "--conf-dir", filepath.Join(n.Dir, "net.d")}, args...)
}

// start attaches a container that serves port 80, published as hostPort.
func (n *node) start(hostPort int) (*Box, []map[string]any) {
	GinkgoHelper()
	b, ports := n.Container(), []map[string]any{Port("tcp", hostPort, 80)}
	b.Add(n.net, ports...)
	Serve(b.Space, "tcp", 80)
	ExpectSeen(n.Outside, "tcp", HostV4, fmt.Sprint(hostPort), OutsideV4)
	return b, ports
}

// client connects every 10 ms, until the returned function is called, which wants that no connection
// was lost.
func (n *node) client(hostPort int) (stop func()) {
	end := make(chan struct{})
	var running sync.WaitGroup
	var lost []string
	asked := 0
	running.Go(func() {
		for ; ; time.Sleep(10 * time.Millisecond) {
			select {
			case <-end:
				return
			default:
			}
			asked++
			began := time.Now()
			if seen, err := n.Outside.Ask("tcp", fmt.Sprintf("%s:%d", HostV4, hostPort), Patience); err != nil || !strings.HasPrefix(seen, OutsideV4+":") {
				lost = append(lost, fmt.Sprintf("%s: %q, %v", began.Format(time.StampMilli), seen, err))
			}
		}
	})
	return func() {
		GinkgoHelper()
		close(end)
		running.Wait()
		GinkgoWriter.Printf("port %d: %d connections\n", hostPort, asked)
		Expect(asked).To(BeNumerically(">", 20))
		Expect(lost).To(BeEmpty(), "lost of %d connections to port %d", asked, hostPort)
	}
}

// state is the node's, with its plugins. Directories, the lock and the last address handed out stay, as
// with the reference alone; so do tables that iptables keeps when they are empty.
func (n *node) state() (snapshot.Snapshot, error) {
	s, err := snapshot.Take(n.Host.NS, "/var/lib/cni", n.bin)
	return s.WithoutKept().WithoutBookkeeping(), err
}

func (n *node) snap() snapshot.Snapshot {
	GinkgoHelper()
	s, err := snapshot.Rest(3*Patience, n.state)
	Expect(err).NotTo(HaveOccurred())
	return s
}

// build is README's: a fresh clone, and make.
func (n *node) build() {
	GinkgoHelper()
	out, err := exec.Command("git", "clone", "--quiet", Root(GinkgoT()), n.clone).CombinedOutput()
	Expect(err).NotTo(HaveOccurred(), string(out))
	n.must("make", "build")
}

var _ = Describe("a newcomer", func() {
	It("installs over the reference with running containers, upgrades, goes back, and uninstalls", func() {
		n := newNode(reference...)
		n.build()
		n.start(8080)
		first := n.snap()
		stopped := n.client(8080)

		By("make install, and again")
		n.must("make", "install", "BINDIR="+n.bin)
		Expect(Read(GinkgoT(), filepath.Join(n.bin, "bridge"))).To(Equal(Read(GinkgoT(), filepath.Join(n.clone, "bin/bridge"))))
		Expect(n.must("make", "install", "BINDIR="+n.bin)).To(ContainSubstring("installed already, nothing was changed"))
		old := Read(GinkgoT(), filepath.Join(n.bin, "bridge"))
		beside, ports := n.start(8081)
		besideStopped := n.client(8081)

		By("an upgrade, and back")
		n.must("make", "build", "VERSION=0.1.1-next")
		n.must("make", "install", "BINDIR="+n.bin, "VERSION=0.1.1-next")
		Expect(n.must(filepath.Join(n.bin, "bridge"), "--version")).To(ContainSubstring("0.1.1-next"))
		n.must(n.bridgeport("install", "--rollback")...)
		Expect(Read(GinkgoT(), filepath.Join(n.bin, "bridge"))).To(Equal(old))
		Expect(n.must(n.bridgeport("ls")...)).To(ContainSubstring(beside.ID))

		By("back to the reference")
		plan := n.must(n.bridgeport("uninstall", "--dry-run")...)
		Expect(plan).To(And(ContainSubstring("would be handed over"), ContainSubstring(beside.ID), ContainSubstring("table inet bridgeport")))
		n.must(n.bridgeport("install", "--rollback=reference")...)
		n.expectReference()
		again, morePorts := n.start(8082) // by the reference
		n.must(n.bridgeport("install", "--rollback")...)
		Expect(Read(GinkgoT(), filepath.Join(n.bin, "bridge"))).To(Equal(old))

		By("uninstall")
		more, mostPorts := n.start(8083)
		moreStopped := n.client(8083)
		n.must(n.bridgeport("uninstall")...)
		n.expectReference()
		Expect(filepath.Join(n.bin, "bridgeport")).NotTo(BeAnExistingFile())
		n.must("bin/bridgeport", "--bin-dir", n.bin, "--conf-dir", filepath.Join(n.Dir, "net.d"), "uninstall") // again
		n.expectReference()
		besideStopped()
		moreStopped()
		beside.Del(n.net, ports...)
		again.Del(n.net, morePorts...)
		more.Del(n.net, mostPorts...)
		ExpectRefused(n.Outside, "tcp", HostV4, "8081")
		Expect(first.Await(Patience, n.state)).To(Succeed())
		stopped()
	})

	It("uninstalls from a node that had no plugins", func() {
		n := newNode()
		n.build()
		first := n.snap()
		n.must("make", "install", "BINDIR="+n.bin)
		b, ports := n.start(8080)
		out, err := n.run(n.bridgeport("uninstall")...)
		Expect(err).To(HaveOccurred())
		Expect(out).To(And(ContainSubstring("1 living attachments"), ContainSubstring("no plugins of the reference are kept there"), ContainSubstring("--force")))
		ExpectSeen(n.Outside, "tcp", HostV4, "8080", OutsideV4)
		out, err = n.run(n.bridgeport("install", "--rollback=reference")...)
		Expect(err).To(HaveOccurred())
		Expect(out).To(ContainSubstring("no plugins but ours have been there"))
		b.Del(n.net, ports...)
		Expect(n.must(n.bridgeport("uninstall")...)).To(ContainSubstring("removed: bridge cni0"))
		Expect(first.Await(Patience, n.state)).To(Succeed())
	})

	It("says what to do where iptables is missing, and changes nothing", func() {
		n := newNode(reference...)
		n.build()
		n.must("make", "install", "BINDIR="+n.bin)
		n.start(8080)
		before := n.snap()
		empty := filepath.Join(n.Dir, "path")
		Expect(os.Mkdir(empty, 0o755)).To(Succeed())
		// The command looks into these whatever PATH says.
		for _, dir := range []string{"/usr/sbin", "/usr/local/sbin"} {
			Expect(unix.Mount(empty, dir, "", unix.MS_BIND, "")).To(Succeed())
			DeferCleanup(unix.Unmount, dir, unix.MNT_DETACH)
		}
		out, err := n.run(append([]string{"/usr/bin/env", "PATH=" + empty}, n.bridgeport("uninstall")...)...)
		Expect(err).To(HaveOccurred())
		Expect(out).To(And(ContainSubstring("iptables"), ContainSubstring("nothing was removed")))
		Expect(before.Await(Patience, n.state)).To(Succeed())
		ExpectSeen(n.Outside, "tcp", HostV4, "8080", OutsideV4)
	})
})

// privately mounts a layer over a directory, for this program and what it starts.
func (n *node) privately(dir string) {
	GinkgoHelper()
	layer := filepath.Join(n.Dir, "layer"+dir)
	Expect(os.MkdirAll(layer, 0o755)).To(Succeed())
	Expect(unix.Mount("tmpfs", layer, "tmpfs", 0, "")).To(Succeed())
	DeferCleanup(unix.Unmount, layer, unix.MNT_DETACH)
	upper, work := filepath.Join(layer, "upper"), filepath.Join(layer, "work")
	Expect(errors.Join(os.Mkdir(upper, 0o755), os.Mkdir(work, 0o755))).To(Succeed())
	Expect(unix.Mount("overlay", dir, "overlay", 0, "lowerdir="+dir+",upperdir="+upper+",workdir="+work)).To(Succeed())
	DeferCleanup(unix.Unmount, dir, unix.MNT_DETACH)
}

// blocks are the commands of a section of a document.
func blocks(document, heading string) (lines []string) {
	_, rest, _ := strings.Cut(document, "\n## "+heading+"\n")
	section, _, _ := strings.Cut(rest, "\n## ")
	for line := range strings.SplitSeq(section, "\n") {
		if text, is := strings.CutPrefix(line, "    "); is {
			lines = append(lines, text)
		}
	}
	return lines
}

var _ = It("the tutorial of conf/demo: its commands do what it says, and nothing is left", func() {
	n := newNode()
	n.build()
	n.privately("/etc")
	n.privately("/opt")
	first := n.snap()
	n.must("bin/bridgeport", "install")
	tutorial := Read(GinkgoT(), filepath.Join(Root(GinkgoT()), "conf/demo/README.md"))
	for _, heading := range []string{"By cnitool", "By bridgeport lab", "By bridgeport plan"} {
		By(heading)
		lines := blocks(tutorial, heading)
		Expect(lines).NotTo(BeEmpty())
		// env takes what stands before a command, as sudo does.
		script := `set -e; sudo() { if [ "$1" = -E ]; then shift; fi; env "$@"; }; PATH=/opt/cni/bin:` + Reference(GinkgoT(), "cnitool") + `:$PATH` + "\n" + strings.Join(lines, "\n")
		out := n.must("unshare", "--mount", "bash", "-c", script) // ip netns mounts /run/netns onto itself
		GinkgoWriter.Println(out)
		if heading == "By cnitool" {
			Expect(out).To(And(ContainSubstring("192.168.15.1/24"), ContainSubstring("192.168.15.2/24"), ContainSubstring(" 1 received")))
		}
	}
	n.must("bin/bridgeport", "uninstall")
	Expect(first.Await(Patience, n.state)).To(Succeed())
})

func (n *node) expectReference() {
	GinkgoHelper()
	for _, name := range reference {
		Expect(Read(GinkgoT(), filepath.Join(n.bin, name))).To(Equal(Read(GinkgoT(), filepath.Join(Reference(GinkgoT(), reference...), name))))
	}
	state, err := n.state()
	Expect(err).NotTo(HaveOccurred())
	for key := range state {
		if strings.HasPrefix(key, "nft ") && strings.Contains(key, " bridgeport") {
			Fail("left behind: " + key)
		}
	}
}
