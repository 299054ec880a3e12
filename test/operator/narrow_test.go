package operator_test

import (
	"fmt"
	"strings"
	"unicode/utf8"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("a narrow terminal without UTF-8", func() {
	It("gets lines of 60 columns in ASCII", func() {
		n := three()
		n.add("a-container-whose-name-a-person-has-chosen-1", stage.Port("tcp", 9090, 90), stage.Port("udp", 9090, 90))
		n.nft("flush ruleset")
		n.sysctl("net/ipv4/ip_forward", "0")
		n.dies(1)
		all, long := "", []string{}
		for _, args := range []string{"ls", "ls -w", "who 8080", "doctor", "trace 203.0.113.9 8080", "graph", "exposure", "gc --dry-run", "top -n 1 --interval 10ms", "doctor --list"} {
			r := n.ranWith([]string{"COLUMNS=60", "LC_ALL=C"}, "", strings.Fields(args)...)
			all += fmt.Sprintf("$ bridgeport %s\n%s\n", args, r.Out)
			for line := range strings.Lines(r.Out) {
				line = strings.TrimRight(line, "\n")
				Expect(line).NotTo(MatchRegexp(`[^ -~]`), args)
				// A command for the shell, and a word, are not broken.
				if len(line) > 60 && !strings.Contains(line, "  fix   ") && len(strings.Fields(line)) > 2 {
					long = append(long, args+": "+line)
				}
			}
			wide := n.ranWith([]string{"LC_ALL=", "LC_CTYPE=de_DE.utf8", "LANG=C"}, "", strings.Fields(args)...)
			Expect(utf8.ValidString(wide.Out)).To(BeTrue())
		}
		fmt.Fprint(GinkgoWriter, all)
		Expect(long).To(BeEmpty())
		Expect(all).To(And(ContainSubstring("left out for want of width"), ContainSubstring("8080->80/tcp")))
		Expect(n.ok("ls")).To(And(ContainSubstring("8080→80/tcp"), ContainSubstring("a-container-whose-name-a-person-has-chosen-1 ")))
	})
})
