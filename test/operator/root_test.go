package operator_test

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("without root", func() {
	// as runs the command by setpriv.
	as := func(n *Node, privileges []string, args ...string) (string, int) {
		GinkgoHelper()
		flags := n.flags()[2:] // the namespace is entered here
		cmd := exec.Command("setpriv", append(append(append([]string{}, privileges...), filepath.Join(n.Bin, "bridgeport")), append(flags, args...)...)...)
		cmd.Stdin = strings.NewReader("")
		var out []byte
		Expect(n.Host.Do(func() error { out, _ = cmd.CombinedOutput(); return nil })).To(Succeed())
		return string(out), cmd.ProcessState.ExitCode()
	}
	nobody := []string{"--reuid=65534", "--regid=65534", "--clear-groups"}

	It("says so, and changes nothing", func() {
		n := three()
		Expect(os.Chmod(n.Dir, 0o755)).To(Succeed())
		n.nft("flush ruleset")
		before := n.Settled()
		for _, args := range []string{
			"ls", "who 8080", "doctor", "repair", "repair --dry-run", "gc", "gc --dry-run", "trace 203.0.113.9 tcp/8080", "exposure", "exposure --all",
			"graph", "graph -f svg", "top -n 1", "metrics", "bundle -", "plan", "plan " + n.conf("10-lan.conflist"), "lab up red", "lab down", "lab sh red", "ls --netns x", "ls -o json",
		} {
			for _, privileges := range [][]string{nobody, {"--bounding-set=-net_admin"}, {"--bounding-set=-sys_admin"}} {
				out, status := as(n, privileges, strings.Fields(args)...)
				Expect(status).To(Equal(1), "%s %v: %s", args, privileges, out)
				Expect(out).To(ContainSubstring("run as root"), args)
				Expect(out).NotTo(ContainSubstring("fix"), args)
			}
		}
		n.ExpectEqual(before)
	})

	It("does what needs no root", func() {
		n := newNode(nil)
		Expect(os.Chmod(n.Dir, 0o755)).To(Succeed())
		for _, args := range []string{"lint", "lint " + n.conf("10-lan.conflist"), "init --print", "doctor --list", "help", "--version"} {
			out, status := as(n, nobody, strings.Fields(args)...)
			Expect(status).To(BeZero(), "%s: %s", args, out)
		}
	})
})
