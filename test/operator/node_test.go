package operator_test

import (
	"bytes"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var update = flag.Bool("update", false, "write the golden files")

// Node is a stage with a network's configuration file, through libcni.
type Node struct {
	*stage.Stage
	Net   *stage.Network
	Boxes []*stage.Box
	ports map[string][]map[string]any // by container, what ADD was asked for
}

// conflist is what the node's file says.
func conflist(s *stage.Stage, changes stage.Conf) []byte {
	GinkgoHelper()
	bridge := s.Bridge(stage.SubnetV4, stage.SubnetV6).With(stage.Conf{"hairpinMode": true}).With(changes)
	return stage.List(bridge, stage.Portmap())
}

func newNode(changes stage.Conf) *Node {
	GinkgoHelper()
	s := stage.NewStage(GinkgoT())
	// The outside is the way out, so that default routes exist.
	Expect(s.Host.Route("default", stage.OutsideV4)).To(Succeed())
	Expect(s.Host.Route("default6", stage.OutsideV6)).To(Succeed())
	list := conflist(s, changes)
	n := &Node{Stage: s, Net: s.Network(list), ports: make(map[string][]map[string]any)}
	Expect(os.MkdirAll(n.conf(), 0o755)).To(Succeed())
	Expect(os.WriteFile(n.conf("10-lan.conflist"), list, 0o644)).To(Succeed())
	return n
}

// three is a node with three containers, two of them with published ports. Their IDs
// are fixed, since the links' names follow from them.
func three() *Node {
	GinkgoHelper()
	n := newNode(nil)
	n.add("web", stage.Port("tcp", 8080, 80), stage.Port("tcp", 8443, 443))
	n.add("db")
	dns := stage.Port("udp", 53, 53)
	dns["hostIP"] = stage.HostV4
	n.add("dns", dns)
	return n
}

// crowd is a node with 200 containers, each tenth with a published port.
func crowd() *Node {
	GinkgoHelper()
	n := newNode(nil)
	for i := range 200 {
		if i%10 == 0 {
			n.add(fmt.Sprintf("c%03d", i), stage.Port("tcp", 9000+i, 80))
		} else {
			n.add(fmt.Sprintf("c%03d", i))
		}
	}
	return n
}

func (n *Node) add(id string, ports ...map[string]any) *stage.Box {
	GinkgoHelper()
	b := &stage.Box{Space: n.Space(id), ID: id}
	n.Boxes, n.ports[id] = append(n.Boxes, b), ports
	b.Add(n.Net, ports...)
	return b
}

func (n *Node) conf(parts ...string) string {
	return filepath.Join(append([]string{n.Dir, "net.d"}, parts...)...)
}

// Ran is what came of a run of the command.
type Ran struct {
	Out, Err string
	Status   int
}

// ran runs the command for the node.
func (n *Node) ran(args ...string) Ran {
	GinkgoHelper()
	return n.ranWith(nil, "", args...)
}

func (n *Node) ranWith(env []string, stdin string, args ...string) Ran {
	GinkgoHelper()
	program := filepath.Join(n.Bin, "bridgeport")
	_, err := os.Stat(program)
	Expect(err).NotTo(HaveOccurred(), "run `make build`")
	cmd := exec.Command(program, append(n.flags(), args...)...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = strings.NewReader(stdin), &out, &errs
	cmd.Env = append(os.Environ(), env...)
	err = cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		Expect(err).NotTo(HaveOccurred())
	}
	return Ran{n.plain(out.String()), n.plain(errs.String()), cmd.ProcessState.ExitCode()}
}

// ok wants the run to succeed, and returns what it printed.
func (n *Node) ok(args ...string) string {
	GinkgoHelper()
	r := n.ran(args...)
	Expect(r.Status).To(BeZero(), "%s\n%s", r.Out, r.Err)
	return r.Out
}

// raw is what the command prints, with the paths of this run.
func (n *Node) raw(args ...string) string {
	GinkgoHelper()
	out, err := exec.Command(filepath.Join(n.Bin, "bridgeport"), append(n.flags(), args...)...).Output()
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		Expect(err).NotTo(HaveOccurred())
	}
	return string(out)
}

// shell runs a script as a person would on the node, with what it says of errors.
func (n *Node) shell(script string, env ...string) string {
	GinkgoHelper()
	cmd := exec.Command("sh")
	cmd.Stdin, cmd.Env = strings.NewReader(script), append(os.Environ(), env...)
	var out []byte
	Expect(n.Host.Do(func() error { out, _ = cmd.CombinedOutput(); return nil })).To(Succeed())
	return string(out)
}

func (n *Node) flags() []string {
	return []string{
		"--netns", n.Host.Path, "--data-dir", n.Data(), "--cache-dir", filepath.Join(n.Dir, "cache"),
		"--conf-dir", n.conf(), "--bin-dir", n.Bin,
	}
}

// plain has none of the paths and names that differ from run to run.
func (n *Node) plain(text string) string {
	host := strings.TrimSuffix(n.Host.Name, "host")
	return strings.NewReplacer(n.Dir, "/node", n.Bin, "/opt/cni/bin", "/run/netns/"+host, "/run/netns/").Replace(text)
}

var moving = []struct {
	pattern *regexp.Regexp
	text    string
}{
	{regexp.MustCompile(`\b\d+s\b`), "1s"},
	{regexp.MustCompile(`\b[\d.]+ [kM]?B\b`), "1 kB"},
	{regexp.MustCompile(`\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ?`), "2026-01-01T00:00:00Z"},
	{regexp.MustCompile(`\d+ (packets|from it|dropped)`), "1 $1"},
	{regexp.MustCompile(`(_bytes\{.*\}) \d+`), "$1 1"},
	{regexp.MustCompile(`"(rx|tx)(Bytes|Packets)": \d+`), `"$1$2": 1`},
	{regexp.MustCompile(` {2,}`), "  "},
}

// golden compares with a file that people read in review; -update writes it.
func golden(name, text string) {
	GinkgoHelper()
	for _, m := range moving {
		text = m.pattern.ReplaceAllString(text, m.text)
	}
	path := filepath.Join("golden", name)
	if *update {
		Expect(os.WriteFile(path, []byte(text), 0o644)).To(Succeed())
		return
	}
	want, err := os.ReadFile(path)
	Expect(err).NotTo(HaveOccurred(), "go test ./test/operator -update writes it")
	Expect(text).To(Equal(string(want)), "golden/%s; go test ./test/operator -update writes it", name)
}
