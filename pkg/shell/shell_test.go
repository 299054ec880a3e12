package shell_test

import (
	"os/exec"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/shell"
)

// The shell itself says what it reads.
func TestTheShellReadsTheSame(t *testing.T) {
	for _, text := range []string{
		"plain", "add table inet x", "", "{ type filter ; }", "host's", `say "x"`, "$(touch /x)", "`x`", "a\\b", "a\nb", "*", "~", "#x", "a&b|c<d>e!f",
	} {
		out, err := exec.Command("sh", "-c", "printf %s "+shell.Quote(text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q: the shell reads %q: %v", text, out, err)
		}
		out, err = exec.Command("sh", "-c", `args() { printf %s "$*"; }; `+shell.Command("args", text)).Output()
		if err != nil || string(out) != text {
			t.Errorf("%q: the program gets %q: %v", text, out, err)
		}
	}
	if got := shell.Command("nft", "add table inet x"); got != "nft add table inet x" {
		t.Errorf("quoted without need: %s", got)
	}
}
