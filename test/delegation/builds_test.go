package delegation_test

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var executed = regexp.MustCompile(`execve\("([^"]+)"`)

// programs runs one verb under strace and lists the programs that it executed, less
// the plugin itself.
func programs(s *Stage, b *Box, command, cniPath string, c Conf) (list []string) {
	GinkgoHelper()
	call := s.Calling(b, "eth0", command, c)
	call.Env = []string{"CNI_PATH=" + cniPath}
	trace, _ := s.Strace(call, "-e", "trace=execve")
	for _, m := range executed.FindAllStringSubmatch(trace, -1) {
		if m[1] != filepath.Join(s.Bin, "bridge") {
			list = append(list, m[1])
		}
	}
	return list
}

// install makes a folder with one program under the name host-local.
func install(s *Stage, name string, put func(from, to string) error, from string) (dir string) {
	GinkgoHelper()
	dir = filepath.Join(s.Dir, name)
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	Expect(put(from, filepath.Join(dir, "host-local"))).To(Succeed())
	return dir
}

func duplicate(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, text, 0o755)
}

// resize is the same program with a byte more: as good as another version.
func resize(from, to string) error {
	text, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, append(text, 0), 0o755)
}

var _ = Describe("host-local", func() {
	var s *Stage
	BeforeEach(func() { s = newStage() })

	// lend runs ADD and DEL, and returns what they executed.
	lend := func(dirs ...string) (list []string) {
		GinkgoHelper()
		c, b := s.Bridge(SubnetV4), s.Container()
		path := strings.Join(dirs, ":")
		list = programs(s, b, "ADD", path, c)
		Expect(Addrs(b.Space, "eth0")).To(HaveLen(1))
		lease := s.Lease(strings.TrimSuffix(Addrs(b.Space, "eth0")[0], "/24"))
		Expect(lease).To(BeAnExistingFile())
		list = append(list, programs(s, b, "DEL", path, c)...)
		Expect(lease).NotTo(BeAnExistingFile())
		return list
	}

	It("of another build is executed", func() {
		dir := install(s, "theirs", os.Symlink, filepath.Join(Reference(GinkgoT(), "host-local"), "host-local"))
		Expect(lend(dir)).To(Equal([]string{filepath.Join(dir, "host-local"), filepath.Join(dir, "host-local")}))
	})

	It("of another version of ours is executed", func() {
		dir := install(s, "older", resize, filepath.Join(s.Bin, "bridge"))
		Expect(lend(dir)).To(HaveLen(2))
	})

	DescribeTable("of this build runs in the same process, installed as", func(put func(from, to string) error) {
		real, err := filepath.EvalSymlinks(filepath.Join(s.Bin, "bridge"))
		Expect(err).NotTo(HaveOccurred())
		Expect(lend(install(s, "ours", put, real))).To(BeEmpty())
	},
		Entry("a symbolic link", os.Symlink),
		Entry("a copy", duplicate),
	)

	It("is the first one in CNI_PATH", func() {
		theirs := install(s, "theirs", os.Symlink, filepath.Join(Reference(GinkgoT(), "host-local"), "host-local"))
		Expect(lend(theirs, s.Bin)).To(HaveLen(2))
		Expect(lend(s.Bin, theirs)).To(BeEmpty())
	})

	It("is found behind folders that are missing or hold something else of its name", func() {
		odd := filepath.Join(s.Dir, "odd")
		Expect(os.MkdirAll(filepath.Join(odd, "host-local"), 0o755)).To(Succeed())
		Expect(lend("/nowhere", odd, s.Bin)).To(BeEmpty())
	})
})
