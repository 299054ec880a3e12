// Command table writes the table of runtimes and the verbs that they called into conf/README.md, from
// what the end-to-end tests have counted.
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

const (
	document   = "conf/README.md"
	begin, end = "<!-- calls: made by make e2e-table -->\n", "<!-- end of calls -->\n"
)

func main() {
	if err := run(); err != nil {
		fmt.Fprintln(os.Stderr, "table:", err)
		os.Exit(1)
	}
}

func run() error {
	rows, err := rows()
	if err != nil {
		return err
	}
	text, err := os.ReadFile(document)
	if err != nil {
		return err
	}
	before, rest, found := strings.Cut(string(text), begin)
	_, after, also := strings.Cut(rest, end)
	if !found || !also {
		return fmt.Errorf("%s: lacks the lines %q and %q", document, begin, end)
	}
	return os.WriteFile(document, []byte(before+begin+rows+end+after), 0o644)
}

func rows() (string, error) {
	files, err := filepath.Glob(filepath.Join(kit.CallsDir(), "*.json"))
	if err == nil && len(files) == 0 {
		err = errors.New("no suite has left anything: run make e2e")
	}
	if err != nil {
		return "", err
	}
	table := "| runtime | " + strings.Join(kit.Verbs, " | ") + " | ports | shown by |\n|---" + strings.Repeat("|---", len(kit.Verbs)+2) + "|\n"
	for _, file := range files {
		data, err := os.ReadFile(file)
		var c kit.Calls
		if err == nil {
			err = json.Unmarshal(data, &c)
		}
		if err != nil {
			return "", err
		}
		table += "| " + c.Runtime
		for _, verb := range kit.Verbs {
			table += " | " + called(c.Verbs[verb])
		}
		table += " | " + called(c.Ports) + " | `make " + c.Suite + "` |\n"
	}
	return table, nil
}

func called(times int) string {
	if times == 0 {
		return "never"
	}
	return "yes"
}
