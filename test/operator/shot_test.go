package operator_test

import (
	"fmt"
	"html"
	"os"
	"regexp"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// pictured is where the pictures of the READMEs are.
const pictured = "../../plugins/bridgeport/"

// The README's pictures are what the command really prints, in the colours of a
// terminal. -update writes them.
var _ = Describe("the README's pictures", func() {
	pictures := func(name, command, out string) {
		GinkgoHelper()
		path := pictured + name
		if *update {
			Expect(os.WriteFile(path, []byte(terminal(command, out)), 0o644)).To(Succeed())
		}
		Expect(wellFormed(stage.Read(GinkgoT(), path))).To(ContainSubstring(command))
	}

	It("show ls, doctor and graph", func() {
		n := three()
		for range 30 {
			stage.ExpectPing(n.Boxes[0].Space, stage.GatewayV4)
		}
		shot := func(args ...string) string {
			r := n.ranWith([]string{"CLICOLOR_FORCE=1", "TERM=xterm"}, "", args...)
			return strings.ReplaceAll(r.Out, "/node/leases", "/var/lib/cni/networks")
		}
		svg := n.ok("graph", "-f", "svg")
		if *update {
			host, err := os.Hostname()
			Expect(err).NotTo(HaveOccurred())
			Expect(os.WriteFile(pictured+"graph.svg", []byte(strings.ReplaceAll(svg, ">"+host+"<", ">node-1<")), 0o644)).To(Succeed())
		}
		wellFormed(stage.Read(GinkgoT(), pictured+"graph.svg"))
		n.add("job-41")
		n.dies(3)
		stage.EmptySet(n.Host, stage.NAT, "anyport4")
		ls := strings.ReplaceAll(shot("ls"), "/node/net.d", "/etc/cni/net.d")
		pictures("ls.svg", "bridgeport ls", ls)
		for _, word := range []string{"web", "job-41", "drift", "orphan"} {
			Expect(wellFormed(stage.Read(GinkgoT(), pictured+"ls.svg"))).To(ContainSubstring(word))
		}
		n.sysctl("net/ipv4/ip_forward", "0")
		n.ip("link set uplink mtu 1400")
		pictures("doctor.svg", "bridgeport doctor", shot("doctor"))
	})
})

// words are what stands between several spaces, which not every viewer keeps.
var words = regexp.MustCompile(`\S+(?: \S+)*`)

// Geometry of a character cell, in pixels.
const (
	cellW, cellH = 7.83, 18.0
	left, top    = 18.0, 46.0
)

var palette = map[string]string{
	"": "#d4d7dd", "31": "#ff7b72", "32": "#7ee787", "33": "#f2cc60", "36": "#79c0ff", "90": "#8b949e",
}

// terminal draws text with SGR sequences as SVG. Each run of one colour is placed by
// itself, so that columns stay columns in any font.
func terminal(command, text string) string {
	var body strings.Builder
	widest := len(command) + 2
	put := func(row, col int, class, fill, s string) {
		for _, at := range words.FindAllStringIndex(s, -1) {
			lead := len([]rune(s[:at[0]]))
			s := s[at[0]:at[1]]
			fmt.Fprintf(&body, `<text x="%.1f" y="%.1f" fill="%s"%s textLength="%.1f">%s</text>`+"\n",
				left+float64(col+lead)*cellW, top+float64(row)*cellH, fill, class, float64(len([]rune(s)))*cellW, html.EscapeString(s))
		}
	}
	put(0, 0, "", "#7ee787", "$")
	put(0, 2, ` font-weight="700"`, "#ffffff", command)
	row := 1
	for line := range strings.Lines(text) {
		row++
		col, fill, class := 0, palette[""], ""
		for i, part := range strings.Split(strings.TrimRight(line, "\n"), "\x1b[") {
			if i > 0 {
				var codes string
				codes, part, _ = strings.Cut(part, "m")
				for code := range strings.SplitSeq(codes, ";") {
					switch colour, ok := palette[code]; {
					case code == "0" || code == "":
						fill, class = palette[""], ""
					case code == "1":
						class = ` font-weight="700"`
					case ok:
						fill = colour
					}
				}
			}
			put(row, col, class, fill, part)
			col += len([]rune(part))
			widest = max(widest, col)
		}
	}
	w, h := left*2+float64(widest)*cellW, top+float64(row)*cellH+20
	return fmt.Sprintf(`<svg xmlns="http://www.w3.org/2000/svg" width="%.0f" height="%.0f" viewBox="0 0 %.0f %.0f" role="img" aria-label="%s">
<style>text{font:13px "JetBrains Mono","DejaVu Sans Mono",Menlo,Consolas,monospace;white-space:pre}</style>
<rect width="%.0f" height="%.0f" rx="10" fill="#0d1117"/>
<circle cx="20" cy="18" r="5.5" fill="#ff5f57"/><circle cx="38" cy="18" r="5.5" fill="#febc2e"/><circle cx="56" cy="18" r="5.5" fill="#28c840"/>
%s</svg>
`, w, h, w, h, command, w, h, body.String())
}
