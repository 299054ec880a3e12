package supply

import (
	"flag"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

var update = flag.Bool("update", false, "write budget.txt and licences.txt anew")

const (
	budgetHead = `What the programs of make build are linked with beside our own code, on amd64. A line more is code
that somebody else changes: say in the commit why it is worth that. Numbers of bytes may differ
by 2 %. Written by go test ./test/supply -update.

`
	licencesHead = `Licences of what the programs are linked with: module, file, licence, the beginning of the file's
SHA-256, programs. Written by go test ./test/supply -update.

`
)

// programs reads what make build has built, once.
func programs(t *testing.T) []*Program {
	t.Helper()
	dir := stage.Plugins(t, names...)
	for _, name := range names[len(built):] {
		p, err := Read(filepath.Join(dir, name))
		if err != nil {
			t.Fatal(err)
		}
		built = append(built, p)
	}
	return built
}

var (
	names = []string{"bridge", "bridgeport", "installer"}
	built []*Program
)

// table compares a file with what it should have, or writes it.
func table(t *testing.T, file, want string) (have string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(file, []byte(want), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	return string(text)
}

// TestLicences: each module has a licence that permits what we do, and the list has them.
func TestLicences(t *testing.T) {
	list := programs(t)
	texts, err := Texts(list...)
	if err != nil {
		t.Fatal(err)
	}
	for _, problem := range Problems(list, texts) {
		t.Error(problem)
	}
	want := licencesHead + Table(texts)
	have := strings.Split(table(t, "licences.txt", want), "\n")
	now := strings.Split(want, "\n")
	for _, line := range now {
		if !slices.Contains(have, line) {
			t.Errorf("licences.txt: read it, then go test ./test/supply -update\n  + %s", line)
		}
	}
	for _, line := range have {
		if !slices.Contains(now, line) {
			t.Errorf("licences.txt: read it, then go test ./test/supply -update\n  - %s", line)
		}
	}
}

// TestModules: the programs are linked with the modules of go.mod and go.sum.
func TestModules(t *testing.T) {
	modules, err := ReadModules("../..")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range programs(t) {
		for _, wrong := range modules.Wrong(p.Info) {
			t.Errorf("%s: %s", p.Name, wrong)
		}
	}
}

// TestBudget: nothing comes in that nobody decided on.
func TestBudget(t *testing.T) {
	if runtime.GOARCH != "amd64" {
		t.Skip("the table is of amd64")
	}
	now := make(Budget)
	for _, p := range programs(t) {
		now.Add(p)
		if p.Name != "bridge" {
			continue
		}
		now.AddNames(p)
		if err := now.AddStart(filepath.Join(stage.Plugins(t, p.Name), p.Name), p.Name); err != nil {
			t.Fatal(err)
		}
	}
	was := ParseBudget(table(t, "budget.txt", budgetHead+now.String()))
	if list := was.Difference(now); len(list) > 0 {
		t.Errorf("built by %s. If it is meant: go test ./test/supply -update\n%s", runtime.Version(), strings.Join(list, "\n"))
	}
}
