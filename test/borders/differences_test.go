package borders

import (
	"flag"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

var update = flag.Bool("update", false, "write plugins/README.md anew")

// TestDifferences: plugins/README.md tells all that differs from the reference. It is made of the last
// column of the tables of keys, and of the reasons in the lists of differences that tests allow.
func TestDifferences(t *testing.T) {
	const document = "../../plugins/README.md"
	want := "# The plugins, and what differs from the reference\n\n" +
		"[bridge](bridge/README.md), [portmap](portmap/README.md), [host-local](hostlocal/README.md) and\n" +
		"[loopback](loopback/README.md) take the reference's configurations (v1.10.0). This page is made by\n" +
		"`go test ./test/borders -update` of the tables of keys there, and of what\n" +
		"[`test/differential`](../test/README.md) and `test/packets` allow to differ.\n\n" +
		"## Keys\n\n| plugin | key | compared with the reference |\n|---|---|---|\n" + differingKeys(t) +
		"\n## What an attachment and each verb look like\n\nBy the same calls to both:\n\n" +
		bullets(reasons(t, "../differential/differences.txt")) +
		"\n## Packets\n\nBy a client at each place, to each address of the host:\n\n" + bullets(packetReasons(t))
	have, err := os.ReadFile(document)
	if *update {
		err = os.WriteFile(document, []byte(want), 0o644)
	} else if err == nil && string(have) != want {
		t.Errorf("%s is not up to date: go test ./test/borders -update", document)
	}
	if err != nil {
		t.Error(err)
	}
}

// differingKeys are the rows of keys that are not the same.
func differingKeys(t *testing.T) (rows string) {
	for _, plugin := range []string{"bridge", "portmap", "hostlocal", "loopback"} {
		name := strings.Replace(plugin, "hostlocal", "host-local", 1)
		for _, line := range lines(t, filepath.Join("../../plugins", plugin, "README.md")) {
			cells := strings.Split(strings.Trim(line, "| "), " | ")
			if !strings.HasPrefix(line, "| `") || len(cells) != 5 || slices.Contains([]string{"same", "–"}, cells[4]) {
				continue
			}
			if strings.HasPrefix(cells[0], "`log.") {
				continue // of each plugin
			}
			rows += "| " + name + " | " + cells[0] + " | " + strings.TrimSuffix(strings.ReplaceAll(cells[4], "](../", "]("), "; see below") + " |\n"
		}
	}
	return rows + "| all | `log.level`, `log.file` | new |\n"
}

// reasons are the comments of a list, a paragraph each.
func reasons(t *testing.T, file string) (list []string) {
	var words []string
	for _, line := range append(lines(t, file), "") {
		text, is := strings.CutPrefix(line, "# ")
		switch {
		case is:
			words = append(words, text)
		case words != nil:
			list, words = append(list, strings.Join(words, " ")), nil
		}
	}
	return list
}

// packetReasons are behind the patterns.
func packetReasons(t *testing.T) (list []string) {
	for _, line := range lines(t, "../packets/reference.txt") {
		head, reason, found := strings.Cut(line, ": ")
		if strings.HasPrefix(line, "#") || !found {
			continue
		}
		parts := strings.Split(head, " | ") // backend, hostIP, flag, protocol, family, br_netfilter, client, by, answer
		entry := parts[6] + ", by " + or(parts[7], "any address") + ", " + or(parts[4], "both families")
		if parts[5] != "*" {
			entry += ", br_netfilter " + parts[5]
		}
		list = append(list, entry+", with the reference's backend "+parts[0]+": "+strings.TrimSpace(parts[8])+". "+strings.ToUpper(reason[:1])+reason[1:])
	}
	return list
}

// or is the text, or what "*" stands for.
func or(text, all string) string {
	if text == "*" {
		return all
	}
	return text
}

func bullets(list []string) (text string) {
	for _, entry := range list {
		text += "- " + strings.ToUpper(entry[:1]) + entry[1:] + "\n"
	}
	return text
}

func lines(t *testing.T, file string) []string {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return strings.Split(strings.TrimSuffix(string(data), "\n"), "\n")
}
