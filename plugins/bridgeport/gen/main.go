// Command gen writes the man pages and shell completions of the operator's command into
// the directory that is its argument.
package main

import (
	"fmt"
	"os"
	"path/filepath"
	"time"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/command"
	"github.com/spf13/cobra/doc"
)

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: gen DIRECTORY")
		os.Exit(2)
	}
	if err := write(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "gen:", err)
		os.Exit(1)
	}
}

func write(dir string) error {
	root := command.Root()
	root.DisableAutoGenTag = true
	man, completions := filepath.Join(dir, "man", "man1"), filepath.Join(dir, "completions")
	for _, d := range []string{man, completions} {
		if err := os.MkdirAll(d, 0o755); err != nil {
			return err
		}
	}
	day := time.Unix(0, 0).UTC() // the same input makes the same pages
	header := &doc.GenManHeader{Title: "BRIDGEPORT", Section: "1", Source: "Bridgeport", Manual: "Container networks", Date: &day}
	if err := doc.GenManTree(root, header, man); err != nil {
		return err
	}
	for name, generate := range map[string]func(string) error{
		"bridgeport.bash": func(f string) error { return root.GenBashCompletionFileV2(f, true) },
		"_bridgeport":     root.GenZshCompletionFile,
		"bridgeport.fish": func(f string) error { return root.GenFishCompletionFile(f, true) },
	} {
		if err := generate(filepath.Join(completions, name)); err != nil {
			return err
		}
	}
	return nil
}
