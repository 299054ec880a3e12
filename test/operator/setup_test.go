package operator_test

import (
	"archive/tar"
	"bytes"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

var _ = Describe("init", func() {
	It("writes a configuration for each runtime that ADD takes", func() {
		n := newNode(nil)
		Expect(os.Remove(n.conf("10-lan.conflist"))).To(Succeed())
		for _, runtime := range []string{"containerd", "crio", "nerdctl", "kind"} {
			n.ok("init", "--runtime", runtime, "--name", "net-"+runtime, "--bridge", "init0", "--subnet", "10.70.0.0/24,fd70::/64", "--mtu", "auto")
		}
		golden("init.conflist", stage.Read(GinkgoT(), n.conf("10-net-containerd.conflist")))
		Expect(n.ok("lint")).To(Equal("4 files: 0 errors, 0 warnings\n"))
		r := n.ran("init", "--name", "net-containerd")
		Expect(r.Status).To(Equal(1))
		Expect(r.Err).To(ContainSubstring("--force replaces it"))
		Expect(n.ran("init", "--runtime", "rkt").Err).To(ContainSubstring("none of containerd"))
		Expect(n.ran("init", "--name", "a b").Err).To(ContainSubstring("name"))
		Expect(n.ok("init", "--print")).To(Equal(n.ok("init", "--print")))
		Expect(os.Remove(n.conf("05-net-kind.conflist"))).To(Succeed())
		Expect(n.ok("plan")).To(ContainSubstring("ip link add init0"))
		left, err := os.ReadDir(n.conf())
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(HaveLen(3), "no temporary file is left")
	})

	It("asks only a person", func() {
		n := newNode(nil)
		for i, stdin := range []string{"/dev/null", "/dev/zero", filepath.Join(n.Bin, "bridgeport")} {
			f, err := os.Open(stdin)
			Expect(err).NotTo(HaveOccurred())
			cmd := exec.Command(filepath.Join(n.Bin, "bridgeport"), append(n.flags(), "init", "--name", fmt.Sprint("n", i))...)
			cmd.Stdin = f
			out, err := cmd.CombinedOutput()
			Expect(err).NotTo(HaveOccurred(), "%s", out)
			Expect(string(out)).To(HavePrefix("wrote "), stdin)
		}
		for _, command := range []string{"metrics", "bundle", "init", "graph -f svg"} {
			r := n.ran(append(strings.Fields(command), "-o", "json")...)
			Expect(r.Status).To(Equal(1), command)
			Expect(r.Err).To(ContainSubstring("-o json"), command)
		}
	})
})

var _ = Describe("install", func() {
	It("exchanges sets under a running node, and goes back", func() {
		n := three()
		dir := filepath.Join(n.Dir, "opt")
		reference := stage.Reference(GinkgoT(), "bridge", "portmap", "host-local")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		for _, p := range []string{"bridge", "portmap", "host-local"} {
			n.write(filepath.Join(dir, p), stage.Read(GinkgoT(), filepath.Join(reference, p)))
		}
		from := n.Bin
		stop := make(chan struct{})
		var calls sync.WaitGroup
		calls.Go(func() {
			defer GinkgoRecover()
			for {
				select {
				case <-stop:
					return
				default:
					a, err := n.Host.CNI(dir, stage.Call{Plugin: "bridge", Command: "VERSION", Config: []byte(`{"cniVersion":"1.0.0"}`)})
					Expect(err).NotTo(HaveOccurred())
					Expect(a.Exit).To(BeZero())
				}
			}
		})
		n.ok("install", "--from", from, "--bin-dir", dir)
		Expect(stage.Read(GinkgoT(), filepath.Join(dir, "bridge"))).To(Equal(stage.Read(GinkgoT(), filepath.Join(from, "bridge"))))
		for _, p := range []string{"portmap", "host-local"} {
			a, aerr := os.Stat(filepath.Join(dir, p))
			b, berr := os.Stat(filepath.Join(dir, "bridge"))
			Expect(errors.Join(aerr, berr)).NotTo(HaveOccurred())
			Expect(os.SameFile(a, b)).To(BeTrue(), "one file under three names")
		}
		Expect(filepath.Join(dir, "bridgeport")).To(BeAnExistingFile())
		Expect(n.ran("install", "--rollback", "--bin-dir", dir).Err).To(ContainSubstring("--rollback=reference puts the plugins back"))
		Expect(n.ok("install", "--rollback=reference", "--bin-dir", dir)).To(And(ContainSubstring("handed over to the reference: lan/web/eth0"), ContainSubstring("removed: table inet bridgeport")))
		for _, p := range []string{"bridge", "portmap", "host-local"} {
			Expect(stage.Read(GinkgoT(), filepath.Join(dir, p))).To(Equal(stage.Read(GinkgoT(), filepath.Join(reference, p))))
		}
		Expect(filepath.Join(dir, "loopback")).NotTo(BeAnExistingFile(), "there was none")
		Expect(filepath.Join(dir, "bridgeport")).To(BeAnExistingFile(), "for the next rollback")
		n.ok("install", "--rollback", "--bin-dir", dir)
		Expect(stage.Read(GinkgoT(), filepath.Join(dir, "bridge"))).To(Equal(stage.Read(GinkgoT(), filepath.Join(from, "bridge"))))
		close(stop)
		calls.Wait()
		Expect(n.ok("install", "--from", from, "--bin-dir", dir)).To(ContainSubstring("nothing was changed"))
		Expect(n.ran("install", "--rollback=back", "--bin-dir", dir).Err).To(ContainSubstring(`"back" is neither last nor reference`))
		// Where the present set can't be kept nothing is changed.
		blocked := filepath.Join(dir, "portmap")
		Expect(errors.Join(os.Remove(blocked), os.Mkdir(blocked, 0o755))).To(Succeed())
		Expect(n.ran("install", "--rollback", "--bin-dir", dir).Status).To(Equal(1))
		Expect(n.ran("install", "--from", from, "--bin-dir", dir).Status).To(Equal(1))
		Expect(stage.Read(GinkgoT(), filepath.Join(dir, ".bridgeport-reference", "bridge"))).To(Equal(stage.Read(GinkgoT(), filepath.Join(reference, "bridge"))))
		Expect(n.ran("install", "--from", n.Dir, "--bin-dir", dir).Err).To(ContainSubstring("does not say its version"))
		Expect(n.ran("install", "--rollback", "--bin-dir", n.Dir).Err).To(ContainSubstring("no set is kept there"))
	})
})

var _ = Describe("install into a directory", func() {
	for name, flags := range map[string]uintptr{"noexec": unix.MS_NOEXEC, "noexec and nosuid": unix.MS_NOEXEC | unix.MS_NOSUID} {
		It("says that it is mounted "+name, func() {
			n := newNode(nil)
			dir := filepath.Join(n.Dir, "opt")
			Expect(os.Mkdir(dir, 0o755)).To(Succeed())
			Expect(unix.Mount("tmpfs", dir, "tmpfs", flags, "")).To(Succeed())
			DeferCleanup(unix.Unmount, dir, unix.MNT_DETACH)
			r := n.ran("install", "--from", n.Bin, "--bin-dir", dir)
			Expect(r.Status).To(Equal(1), r.Out)
			Expect(r.Err).To(ContainSubstring("is it mounted noexec?"))
			left, err := os.ReadDir(dir)
			Expect(err).NotTo(HaveOccurred())
			Expect(left).To(BeEmpty())
		})
	}
})

var _ = Describe("metrics", func() {
	It("tells pools, states and findings", func() {
		n := three()
		n.write(n.Lease("10.60.0.200"), "gone\r\neth0")
		text := n.ok("metrics")
		golden("metrics.txt", text)
		for _, line := range []string{
			`bridgeport_attachments{network="lan",state="ok"} 3`, `bridgeport_attachments{network="lan",state="orphan"} 1`,
			`bridgeport_pool_leased{network="lan",range="10.60.0.1-10.60.0.254 of 10.60.0.0/24"} 4`, `bridgeport_findings{check="lease-dead",severity="warn"} 1`,
		} {
			Expect(text).To(ContainSubstring(line + "\n"))
		}
		path := filepath.Join(n.Dir, "bridgeport.prom")
		Expect(n.ok("metrics", "--textfile", path)).To(BeEmpty())
		Expect(stage.Read(GinkgoT(), path)).To(ContainSubstring("# TYPE bridgeport_attachments gauge"))
	})
})

var _ = Describe("bundle", func() {
	unpack := func(data []byte) map[string]string {
		GinkgoHelper()
		z, err := gzip.NewReader(bytes.NewReader(data))
		Expect(err).NotTo(HaveOccurred())
		files := make(map[string]string)
		for t := tar.NewReader(z); ; {
			h, err := t.Next()
			if errors.Is(err, io.EOF) {
				return files
			}
			Expect(err).NotTo(HaveOccurred())
			body, err := io.ReadAll(t)
			Expect(err).NotTo(HaveOccurred())
			files[h.Name] = string(body)
		}
	}
	It("has what a bug report needs, and with --scrub no address or name", func() {
		n := three()
		plain, clean := filepath.Join(n.Dir, "plain.tgz"), filepath.Join(n.Dir, "clean.tgz")
		n.ok("bundle", plain)
		n.ok("bundle", "--scrub", clean)
		files := unpack([]byte(stage.Read(GinkgoT(), plain)))
		for _, name := range []string{"version.txt", "doctor.json", "ruleset.txt", "leases.json", "net.d/10-lan.conflist", "cache/lan-web-eth0.json"} {
			Expect(files).To(HaveKey("bridgeport-bundle/" + name))
		}
		all := ""
		for name, text := range unpack([]byte(stage.Read(GinkgoT(), clean))) {
			all += name + "\n" + text
		}
		mac := stage.MAC(n.Boxes[0].Space, "eth0").String()
		for _, secret := range []string{stage.FirstV4, stage.FirstV6, stage.HostV4, stage.OutsideV4, mac, `"web"`, "lan/db/"} {
			Expect(all).NotTo(ContainSubstring(secret))
		}
		Expect(all).To(ContainSubstring("127.0.0.1"))
		Expect(all).To(ContainSubstring("container-"))
		info, err := os.Stat(clean)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
	})
})

var _ = Describe("top", func() {
	It("puts the busiest first", func() {
		n := three()
		done := make(chan struct{})
		go func() {
			defer close(done)
			for range 20 {
				_, _ = n.Boxes[1].Ping(stage.GatewayV4, stage.Patience)
			}
		}()
		var rates []struct {
			Name      string
			TxPackets float64
		}
		Expect(json.Unmarshal([]byte(n.ok("top", "-n", "1", "--interval", "300ms", "-o", "json")), &rates)).To(Succeed())
		<-done
		Expect(rates).To(HaveLen(3))
		Expect(n.ok("top", "-n", "1", "--interval", "10ms")).To(ContainSubstring("3 attachments of 3"))
	})
})
