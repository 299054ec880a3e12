// Command sample prints an expression for -ginkgo.focus: each n-th spec of a test program, in the
// order of their names. Specs of one subject have similar names, so that each subject with n specs
// is in the sample, and the sample is the same on each kernel.
//
//	sample 8 bin/scenario.test
package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"

	"github.com/onsi/ginkgo/v2/types"
)

func main() {
	text, err := run(os.Args)
	if err != nil {
		fmt.Fprintln(os.Stderr, "sample:", err)
		os.Exit(1)
	}
	fmt.Println(text)
}

func run(args []string) (string, error) {
	if len(args) != 3 {
		return "", errors.New("usage: sample N PROGRAM")
	}
	n, err := strconv.Atoi(args[1])
	if err != nil || n < 1 {
		return "", fmt.Errorf("%q is no number above 0", args[1])
	}
	report, err := listed(args[2])
	if err != nil {
		return "", err
	}
	return expression(report, n)
}

// listed is what the program would run.
func listed(program string) (report types.Report, err error) {
	dir, err := os.MkdirTemp("", "bridgeport-sample")
	if err != nil {
		return report, err
	}
	defer os.RemoveAll(dir)
	file := filepath.Join(dir, "report.json")
	out, err := exec.Command(program, "-ginkgo.dry-run", "-ginkgo.json-report="+file).CombinedOutput()
	if err != nil {
		return report, fmt.Errorf("%s: %w\n%s", program, err, out)
	}
	text, err := os.ReadFile(file)
	if err != nil {
		return report, err
	}
	var reports []types.Report
	if err := json.Unmarshal(text, &reports); err != nil || len(reports) != 1 {
		return report, fmt.Errorf("%s: %d reports: %v", program, len(reports), err)
	}
	return reports[0], nil
}

// expression matches the whole names of each n-th spec.
func expression(report types.Report, n int) (string, error) {
	var names, chosen []string
	for _, spec := range report.SpecReports.WithLeafNodeType(types.NodeTypeIt) {
		names = append(names, spec.FullText())
	}
	slices.Sort(names)
	for i := 0; i < len(names); i += n {
		chosen = append(chosen, regexp.QuoteMeta(report.SuiteDescription+" "+names[i]))
	}
	if len(chosen) == 0 {
		return "", errors.New("the program has no specs")
	}
	return "^(" + strings.Join(chosen, "|") + ")$", nil
}
