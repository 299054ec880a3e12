package packets_test

import (
	_ "embed"
	"fmt"
	"os"
	"slices"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// reference.txt has the cells that the reference answers in another way, and why. A
// line's words before the colon are patterns, "*" for anything.
//
//go:embed reference.txt
var differences string

// difference is one line.
type difference struct {
	line  string
	parts []string // backend, hostIP, flag, protocol, family, br_netfilter, client, by, answer
	met   bool
}

func readDifferences() (list []*difference) {
	GinkgoHelper()
	for line := range strings.Lines(differences) {
		line = strings.TrimSpace(line)
		if line == "" || strings.HasPrefix(line, "#") {
			continue
		}
		words, reason, _ := strings.Cut(line, ": ")
		d := &difference{line: line}
		for part := range strings.SplitSeq(words, "|") {
			d.parts = append(d.parts, strings.TrimSpace(part))
		}
		Expect(d.parts).To(HaveLen(9), line)
		Expect(reason).NotTo(BeEmpty(), line)
		list = append(list, d)
	}
	return list
}

// words are the parts of a line that tells this answer alone.
func (c cell) words(answer string) []string {
	return []string{c.backend, c.hostIP, c.flag, c.protocol, c.family(), c.brNetfilter, c.client, c.by, answer}
}

// tells says whether the line is about this answer.
func (d *difference) tells(c cell, answer string) bool {
	for i, word := range c.words(answer) {
		if !slices.Contains(strings.Split(d.parts[i], ", "), word) && d.parts[i] != "*" {
			return false
		}
	}
	return true
}

var _ = Describe("the packet table and the reference", func() {
	if os.Getenv("PACKETS_REFERENCE") == "" {
		return // it takes minutes: make reference-table
	}
	It("differ only where reference.txt says so, and there they do", func() {
		bin := Reference(GinkgoT(), "bridge", "portmap", "host-local")
		protocols := []string{"tcp", "udp"}
		if HasSCTP() {
			protocols = append(protocols, "sctp")
		}
		list := readDifferences()
		var unexplained []string
		for _, b := range backends {
			for _, ip := range hostIPs {
				for i := range flags {
					unexplained = append(unexplained, compare(newTown(bin, b, ip, flags[i], protocols), b, ip, i, protocols, list)...)
				}
			}
		}
		for _, d := range list {
			if !d.met {
				unexplained = append(unexplained, "no such difference: "+d.line)
			}
		}
		if len(unexplained) > 0 {
			Fail(strings.Join(unexplained, "\n"))
		}
	})
})

// compare asks the reference's town, and returns what no line explains.
func compare(t *town, b backend, ip hostIP, flagIndex int, protocols []string, list []*difference) (unexplained []string) {
	GinkgoHelper()
	for _, protocol := range protocols {
		for _, setting := range []string{off, on} {
			t.BridgeNetfilter(setting)
			questions := cells(b, ip, flagIndex, protocol, setting)
			for i, got := range t.askAll(questions) {
				c := questions[i]
				if got == t.wants(c) {
					continue
				}
				i := slices.IndexFunc(list, func(d *difference) bool { return d.tells(c, t.meaning(c, got)) })
				if i >= 0 {
					list[i].met = true
					continue
				}
				unexplained = append(unexplained, fmt.Sprintf("%s | ours: %s", strings.Join(c.words(t.meaning(c, got)), " | "), c.want))
			}
		}
	}
	return unexplained
}
