package packets_test

import (
	"fmt"
	"os"
	"slices"
	"strings"
	"testing"
)

// TestREADME keeps the table of plugins/portmap/README.md in step with the one that is
// asked by packets.
func TestREADME(t *testing.T) {
	const readme = "../../plugins/portmap/README.md"
	text, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	if want := markdown(); !strings.Contains(string(text), want) {
		t.Errorf("%s lacks this table:\n%s", readme, want)
	}
}

// markdown is the table as people read it.
func markdown() string {
	var b strings.Builder
	fmt.Fprintln(&b, "| client | by | default | `\"snat\": false` | `\"masqAll\": true` |")
	fmt.Fprintln(&b, "|---|---|---|---|---|")
	for _, r := range table {
		by := "any address of the host"
		if slices.Equal(r.by, []string{loopback}) {
			by = "127.0.0.1, ::1"
		}
		client := r.client
		if r.brNetfilter != both {
			client += map[string]string{off: ", br_netfilter off", on: ", br_netfilter on"}[r.brNetfilter]
		}
		if r.onlyIn != "" {
			client += " (" + r.onlyIn + ")"
		}
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", client, by, r.seen[0], r.seen[1], r.seen[2])
	}
	return b.String()
}
