package scenario_test

import (
	"bytes"
	"encoding/json"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// confDir holds the sample configurations.
var confDir = filepath.Join("..", "..", "conf")

// samples is one entry for each sample configuration list. The tree is built before
// any spec runs, so a mistake can only panic.
func samples() (entries []TableEntry) {
	err := filepath.WalkDir(confDir, func(path string, _ fs.DirEntry, err error) error {
		// flannel's needs its plugin and daemon: e2e-flannel runs it.
		if err == nil && strings.HasSuffix(path, ".conflist") && !strings.Contains(path, "/flannel/") {
			rel, _ := filepath.Rel(confDir, path) // both are relative
			entries = append(entries, Entry(rel, path))
		}
		return err
	})
	if err != nil || len(entries) == 0 {
		panic("no sample configurations in " + confDir)
	}
	return entries
}

// cnitool runs one verb on the only configuration in dir, inside the host.
func cnitool(s *Stage, b *Box, dir, verb, name string, ports []map[string]any) []byte {
	GinkgoHelper()
	cmd := exec.Command(filepath.Join(Reference(GinkgoT(), "cnitool"), "cnitool"), verb, name, b.Path)
	cmd.Env = append(os.Environ(), "CNI_PATH="+s.Bin, "NETCONFPATH="+dir,
		"CAP_ARGS="+string(Encode(Conf{"portMappings": ports})))
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	Expect(s.Host.Do(cmd.Run)).To(Succeed(), "cnitool %s %s: %s%s", verb, name, out.Bytes(), errs.Bytes())
	return out.Bytes()
}

var _ = DescribeTable("a sample configuration works with cnitool", func(path string) {
	s := newStage()
	var sample struct {
		Name    string
		Plugins []struct{ Type, Backend string }
	}
	text := []byte(Read(GinkgoT(), path))
	Expect(json.Unmarshal(text, &sample)).To(Succeed())
	dir := filepath.Join(s.Dir, "net.d") // two samples may have one name
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	Expect(os.WriteFile(filepath.Join(dir, "sample.conflist"), text, 0o644)).To(Succeed())

	b := s.Container()
	var ports []map[string]any // CRI-O publishes by itself
	if len(sample.Plugins) > 1 {
		ports = []map[string]any{Port("tcp", 18080, 80)}
	}
	result := decode(cnitool(s, b, dir, "add", sample.Name, ports))
	cnitool(s, b, dir, "check", sample.Name, ports)
	cnitool(s, b, dir, "status", sample.Name, ports)

	Serve(b.Space, "tcp", 80)
	Serve(s.Outside, "tcp", 7000)
	for _, ip := range result.IPs {
		f := v4
		if strings.Contains(ip.Address, ":") {
			f = v6
		}
		if ports != nil {
			for _, from := range []*Space{s.Outside, s.Host, b.Space} {
				ExpectSeen(from, "tcp", f.host, "18080")
			}
			if f.loopback == v4.loopback || sample.Plugins[1].Backend != "iptables" { // which has no way from ::1
				ExpectSeen(s.Host, "tcp", f.loopback, "18080")
			}
		}
		ExpectSeen(b.Space, "tcp", f.outside, "7000", f.host, f.other)
	}
	Expect(result.IPs).NotTo(BeEmpty())

	cnitool(s, b, dir, "del", sample.Name, ports)
	Expect(HasLink(b.Space, "eth0")).To(BeFalse())
	for _, link := range result.Interfaces[1:2] {
		Expect(HasLink(s.Host, link.Name)).To(BeFalse())
	}
	ExpectRefused(s.Outside, "tcp", HostV4, "18080")
}, samples())
