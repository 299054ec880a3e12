package snapshot

import (
	"fmt"
	"slices"
	"strings"
)

// Diff is what changed, a line each and sorted: "+ key: text" for what came,
// "- key: text" for what went, "~ key: old → new" for what changed in place. It is
// empty exactly if the snapshots are equal. The sysctls of a link that came or went
// are one line.
func Diff(before, after Snapshot) []string {
	var lines []string
	came, went := wholeLinks(before, after), wholeLinks(after, before)
	for k, v := range after {
		if _, ok := before[k]; ok {
			lines = append(lines, changed(k, before[k], v)...)
		} else if _, whole := came[linkDir(k)]; !whole {
			lines = append(lines, eachLine("+", k, v)...)
		}
	}
	for k, v := range before {
		if _, ok := after[k]; ok {
			continue
		}
		if _, whole := went[linkDir(k)]; !whole {
			lines = append(lines, eachLine("-", k, v)...)
		}
	}
	for dir, n := range came {
		lines = append(lines, fmt.Sprintf("+ sysctl %s/: %d values", dir, n))
	}
	for dir, n := range went {
		lines = append(lines, fmt.Sprintf("- sysctl %s/: %d values", dir, n))
	}
	// By key first, so that what came and went of one thing stand together.
	slices.SortFunc(lines, func(a, b string) int {
		if c := strings.Compare(a[2:], b[2:]); c != 0 {
			return c
		}
		return strings.Compare(a, b)
	})
	return lines
}

func eachLine(sign, key, text string) []string {
	var lines []string
	for l := range strings.SplitSeq(text, "\n") {
		lines = append(lines, fmt.Sprintf("%s %s: %s", sign, key, l))
	}
	return lines
}

func changed(key, old, new string) []string {
	if old == new {
		return nil
	}
	if !strings.Contains(old+new, "\n") {
		return []string{fmt.Sprintf("~ %s: %s → %s", key, old, new)}
	}
	lines := append(extra("-", key, old, new), extra("+", key, new, old)...)
	if len(lines) == 0 {
		lines = []string{fmt.Sprintf("~ %s: the order of its lines changed: %s → %s", key,
			strings.ReplaceAll(old, "\n", " | "), strings.ReplaceAll(new, "\n", " | "))}
	}
	return lines
}

// extra is the lines of text that other has not, or has less often.
func extra(sign, key, text, other string) []string {
	count := make(map[string]int)
	for l := range strings.SplitSeq(other, "\n") {
		count[l]++
	}
	var lines []string
	for l := range strings.SplitSeq(text, "\n") {
		if count[l]--; count[l] < 0 {
			lines = append(lines, fmt.Sprintf("%s %s: %s", sign, key, l))
		}
	}
	return lines
}

// linkDir is the directory of a sysctl that belongs to one link,
// "net/ipv4/conf/eth0", or "" for any other key.
func linkDir(key string) string {
	path, ok := strings.CutPrefix(key, "sysctl ")
	if !ok {
		return ""
	}
	part := strings.SplitN(path, "/", 5)
	if len(part) < 5 || part[0] != "net" || part[2] != "conf" && part[2] != "neigh" {
		return ""
	}
	return strings.Join(part[:4], "/")
}

// wholeLinks counts the sysctls in each link directory that less has no entry of.
func wholeLinks(less, more Snapshot) map[string]int {
	known := make(map[string]bool)
	for k := range less {
		known[linkDir(k)] = true
	}
	n := make(map[string]int)
	for k := range more {
		if dir := linkDir(k); dir != "" && !known[dir] {
			n[dir]++
		}
	}
	return n
}

// Shown is as much of a difference as a person reads.
func Shown(diff []string) string {
	const lines, width = 12, 240
	more := ""
	if len(diff) > lines {
		diff, more = diff[:lines], fmt.Sprintf("\n… and %d more lines", len(diff)-lines)
	}
	short := make([]string, len(diff))
	for i, line := range diff {
		short[i] = fmt.Sprintf("%.*s", width, line)
	}
	return strings.Join(short, "\n") + more
}
