package stage

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/onsi/ginkgo/v2"
	"github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// Xtables is one of the two programs that answer to the name iptables. Which one an
// administrator has chosen is not asked: a folder that comes first in PATH decides.
type Xtables struct{ dir string }

// NewXtables makes the folder, and puts it into the PATH of the stage's plugins.
func NewXtables(s *Stage, variant string) Xtables {
	ginkgo.GinkgoHelper()
	program, err := exec.LookPath("xtables-" + variant + "-multi")
	gomega.Expect(err).NotTo(gomega.HaveOccurred(), "iptables is needed: apt-get install iptables")
	x := Xtables{filepath.Join(s.Dir, "xtables-"+variant)}
	s.Env = []string{"PATH=" + x.dir + ":" + os.Getenv("PATH")}
	if err := os.Mkdir(x.dir, 0o755); errors.Is(err, os.ErrExist) {
		return x
	}
	for _, name := range []string{"iptables", "iptables-restore", "iptables-save"} {
		for _, link := range []string{name, strings.Replace(name, "ip", "ip6", 1)} {
			gomega.Expect(os.Symlink(program, filepath.Join(x.dir, link))).To(gomega.Succeed())
		}
	}
	if _, err := Try(s.Space("xt"+variant), "", x.Path("iptables"), "-t", "nat", "-S"); err != nil {
		Missing(variant + " iptables (" + err.Error() + ")")
	}
	return x
}

// Path is where a program is.
func (x Xtables) Path(name string) string { return filepath.Join(x.dir, name) }

// Run is iptables; words are separated by spaces.
func (x Xtables) Run(s *lab.Space, words string) string {
	ginkgo.GinkgoHelper()
	return Program(s, "", x.Path("iptables"), strings.Fields(words)...)
}

// Both is iptables and ip6tables.
func (x Xtables) Both(s *lab.Space, words string) {
	ginkgo.GinkgoHelper()
	x.Run(s, words)
	Program(s, "", x.Path("ip6tables"), strings.Fields(words)...)
}

var counts = regexp.MustCompile(`\[\d+:\d+\]`)

// Savers are the programs of both families.
var Savers = []string{"iptables-save", "ip6tables-save"}

// Saved is what the programs print of table nat, less counters and the lines that
// have the time.
func (x Xtables) Saved(s *lab.Space, programs ...string) string {
	ginkgo.GinkgoHelper()
	var kept []string
	for _, program := range programs {
		for line := range strings.Lines(Program(s, "", x.Path(program), "-t", "nat")) {
			if !strings.HasPrefix(line, "#") {
				kept = append(kept, counts.ReplaceAllString(line, "[0:0]"))
			}
		}
	}
	return strings.Join(kept, "")
}

// ExpectTwins wants both hosts to have the same rules in the same order.
func (x Xtables) ExpectTwins(ours, theirs *lab.Space, programs ...string) {
	ginkgo.GinkgoHelper()
	as := func(s *lab.Space) snapshot.Snapshot {
		return snapshot.Snapshot{"table nat": x.Saved(s, programs...)}
	}
	gomega.Expect(strings.Join(snapshot.Diff(as(theirs), as(ours)), "\n")).To(gomega.BeEmpty(), "- theirs, + ours")
}

// Attachments are the rules that belong to containers.
func (x Xtables) Attachments(s *lab.Space) (lines []string) {
	ginkgo.GinkgoHelper()
	for line := range strings.Lines(x.Saved(s, Savers...)) {
		if strings.Contains(line, "CNI-") {
			lines = append(lines, strings.TrimSpace(line))
		}
	}
	return lines
}
