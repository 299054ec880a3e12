package scenario_test

import (
	"bytes"
	"encoding/json"
	"io"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

// call runs one plugin for the container, without libcni between: what libcni would
// refuse or repair reaches the plugin.
func (s *stage) call(b *box, command string, c conf) lab.Answer {
	GinkgoHelper()
	plugin, ok := c["type"].(string)
	Expect(ok).To(BeTrue(), "the configuration lacks a type")
	return s.run(lab.Call{
		Plugin: plugin, Command: command, ContainerID: b.id, Netns: b.Path, IfName: "eth0", Config: c.stdin(),
	})
}

func (s *stage) run(c lab.Call) lab.Answer {
	GinkgoHelper()
	answer, err := s.host.CNI(bin, c)
	Expect(err).NotTo(HaveOccurred())
	return answer
}

// expectOK wants success, and from verbs other than ADD silence.
func expectOK(command string, a lab.Answer) {
	GinkgoHelper()
	Expect(a.Exit).To(BeZero(), "%s: %s%s", command, a.Stdout, a.Stderr)
	if command == "ADD" {
		Expect(a.Result).NotTo(BeNil(), "stdout: %s", a.Stdout)
	} else {
		Expect(string(a.Stdout)).To(BeEmpty())
	}
}

// expectError wants a failure told as the specification says: one error object on
// stdout. texts are what a person needs to find in the message.
func expectError(a lab.Answer, code uint, texts ...string) {
	GinkgoHelper()
	Expect(a.Exit).NotTo(BeZero(), "stdout: %s", a.Stdout)
	for _, out := range [][]byte{a.Stdout, a.Stderr} {
		Expect(string(out)).NotTo(Or(ContainSubstring("panic"), ContainSubstring("goroutine ")))
	}
	var wire struct {
		CNIVersion string `json:"cniVersion"`
		Code       uint   `json:"code"`
		Msg        string `json:"msg"`
	}
	d := json.NewDecoder(bytes.NewReader(a.Stdout))
	Expect(d.Decode(&wire)).To(Succeed(), "stdout: %s", a.Stdout)
	_, err := d.Token()
	Expect(err).To(MatchError(io.EOF), "more than one object on stdout: %s", a.Stdout)
	Expect(wire.CNIVersion).NotTo(BeEmpty(), "cniVersion of the error object")
	Expect(wire.Code).To(Equal(code), "code of: %s", wire.Msg)
	Expect(wire.Msg).NotTo(Or(BeEmpty(), ContainSubstring("\n")))
	for _, text := range texts {
		Expect(wire.Msg).To(ContainSubstring(text))
	}
}

func callVersion(plugin string, stdin []byte) lab.Call {
	return lab.Call{Plugin: plugin, Command: "VERSION", Config: stdin}
}
