package operator_test

import (
	"encoding/xml"
	"errors"
	"io"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// wellFormed wants XML, and returns all text of it.
func wellFormed(svg string) string {
	GinkgoHelper()
	d := xml.NewDecoder(strings.NewReader(svg))
	var text strings.Builder
	for {
		token, err := d.Token()
		if errors.Is(err, io.EOF) {
			return text.String()
		}
		Expect(err).NotTo(HaveOccurred())
		if chars, ok := token.(xml.CharData); ok {
			text.Write(chars)
			text.WriteByte('\n')
		}
	}
}

var _ = Describe("graph", func() {
	It("draws five containers in each format", func() {
		n := three()
		n.add("cache-7f9c", stage.Port("tcp", 6379, 6379))
		n.add("worker")
		host, err := os.Hostname()
		Expect(err).NotTo(HaveOccurred())
		named := func(text string) string { return strings.ReplaceAll(text, host, "node-1") }
		golden("graph.txt", named(n.ok("graph")))
		golden("graph.dot", named(n.ok("graph", "-f", "dot")))
		golden("graph.mermaid", named(n.ok("graph", "-f", "mermaid")))
		svg := n.ok("graph", "-f", "svg")
		golden("graph.svg", named(svg))
		text := wellFormed(svg)
		for _, word := range []string{"outside", stage.HostV4, "lan0", "masquerade", "web", stage.FirstV4, stage.FirstV6, "8080→80/tcp", "cache-7f9c", "worker"} {
			Expect(text).To(ContainSubstring(word))
		}
		Expect(n.ran("graph", "-f", "gif").Err).To(ContainSubstring("none of term, svg"))
	})
})
