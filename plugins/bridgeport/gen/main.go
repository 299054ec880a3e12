// Command gen writes man pages of the operator's command and of the plugins, and the command's
// shell completions, into the directory that is its argument. It runs in the repository's folder.
package main

import (
	"errors"
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
	man, plugins, completions := filepath.Join(dir, "man", "man1"), filepath.Join(dir, "man", "man8"), filepath.Join(dir, "completions")
	if err := errors.Join(os.MkdirAll(man, 0o755), os.MkdirAll(plugins, 0o755), os.MkdirAll(completions, 0o755)); err != nil {
		return err
	}
	root := command.Root()
	root.DisableAutoGenTag = true
	day := time.Unix(0, 0).UTC() // the same input makes the same pages
	header := doc.GenManHeader{Section: "1", Source: "Bridgeport", Manual: "Container networks", Date: &day}
	return errors.Join(
		commandPages(root, header, man),
		pluginPages(".", plugins),
		root.GenBashCompletionFileV2(filepath.Join(completions, "bridgeport.bash"), true),
		root.GenZshCompletionFile(filepath.Join(completions, "_bridgeport")),
		root.GenFishCompletionFile(filepath.Join(completions, "bridgeport.fish"), true),
	)
}
