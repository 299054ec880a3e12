package main

import (
	"bytes"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"

	"github.com/cpuguy83/go-md2man/v2/md2man"
	"github.com/spf13/cobra"
	"github.com/spf13/cobra/doc"
)

// plugins are the folders of the plugins that have a page, and what the page is called.
var plugins = [][2]string{{"bridge", "cni-bridge"}, {"portmap", "cni-portmap"}, {"hostlocal", "cni-host-local"}, {"loopback", "cni-loopback"}}

// always is the exit status of a command whose help says nothing of it.
const always = "0 it did what it was to do, 1 it did not, and standard error says why."

// commandPages writes a page for the command and for each sub-command.
func commandPages(c *cobra.Command, header doc.GenManHeader, dir string) error {
	for _, sub := range c.Commands() {
		if !sub.IsAvailableCommand() || sub.IsAdditionalHelpTopicCommand() {
			continue
		}
		if err := commandPages(sub, header, dir); err != nil {
			return err
		}
	}
	long, status, said := strings.Cut(c.Long, "\n\nExit status: ")
	if c.Long = long; !said {
		status = always
	}
	name := strings.ReplaceAll(c.CommandPath(), " ", "-")
	header.Title = strings.ToUpper(name)
	var b bytes.Buffer
	if err := doc.GenMan(c, &header, &b); err != nil {
		return err
	}
	section := fmt.Sprintf("\n.SH EXIT STATUS\n%s\n", strings.ReplaceAll(status, "\n", " "))
	page, end := b.String(), ""
	for _, next := range []string{"\n.SH EXAMPLE", "\n.SH SEE ALSO"} { // as man-pages(7) orders them
		if at := strings.Index(page, next); at >= 0 && end == "" {
			page, end = page[:at], page[at:]
		}
	}
	return os.WriteFile(filepath.Join(dir, name+".1"), []byte(page+section+end), 0o644)
}

// pluginPages makes a page of each plugin's README, which is the one place that describes it.
func pluginPages(root, dir string) error {
	for _, p := range plugins {
		text, err := os.ReadFile(filepath.Join(root, "plugins", p[0], "README.md"))
		if err != nil {
			return err
		}
		page := md2man.Render([]byte(manual(p[1], string(text))))
		if err := os.WriteFile(filepath.Join(dir, p[1]+".8"), page, 0o644); err != nil {
			return err
		}
	}
	return nil
}

var (
	picture = regexp.MustCompile(`!\[[^\]]*\]\([^)]*\)\n*`)
	link    = regexp.MustCompile(`\[([^\]]+)\]\([^)]*\)`)
	heading = regexp.MustCompile(`(?m)^##+ .*$`)
	table   = regexp.MustCompile(`(?m)^\|.*\n\|[-|]+\n(?:\|.*(?:\n|\z))+`)
)

// manual is a README as a page: with the sections that a page has, without links.
func manual(name, text string) string {
	_, text, _ = strings.Cut(text, "\n") // the title
	text = link.ReplaceAllString(picture.ReplaceAllString(text, ""), "$1")
	text = heading.ReplaceAllStringFunc(text, func(h string) string { return strings.ToUpper(h[1:]) })
	text = table.ReplaceAllStringFunc(text, definitions)
	about, _, _ := strings.Cut(strings.TrimSpace(text), ".")
	return fmt.Sprintf("%% %q \"8\" \"\" \"Bridgeport\" \"Container networks\"\n# NAME\n%s - %s\n\n# DESCRIPTION\n%s\n\n# SEE ALSO\n**bridgeport(1)**\n",
		strings.ToUpper(name), name, strings.Join(strings.Fields(about), " "), strings.TrimSpace(text))
}

// definitions are the rows of a table, each below its first cell: a page is too narrow for a table.
func definitions(text string) string {
	rows := strings.Split(strings.TrimSpace(text), "\n")
	headings := cells(rows[0])
	var b strings.Builder
	for _, row := range rows[2:] {
		var parts []string
		for i, cell := range cells(row) {
			switch {
			case i == 0 || cell == "–" || cell == "":
			case i < len(headings) && (headings[i] == "default" || i > 1 && i == len(headings)-1):
				parts = append(parts, headings[i]+": "+cell)
			default:
				parts = append(parts, cell)
			}
		}
		fmt.Fprintf(&b, "%s\n: %s\n\n", cells(row)[0], strings.Join(parts, ". "))
	}
	return b.String()
}

// cells are those of a table's row. A bar in a cell is written \|.
func cells(row string) (list []string) {
	const bar = "\x00"
	for cell := range strings.SplitSeq(strings.Trim(strings.ReplaceAll(row, `\|`, bar), "| "), "|") {
		list = append(list, strings.ReplaceAll(strings.TrimSpace(cell), bar, "|"))
	}
	return list
}
