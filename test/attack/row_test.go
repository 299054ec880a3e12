package attack_test

import (
	"fmt"
	"os"
	"regexp"
	"testing"

	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// Row is one row of the threat table while its spec runs.
type Row struct {
	id              string
	shown, defeated int
}

// ledger has the rows that were run to their end.
var ledger []*Row

// row is the spec of a row.
func row(id, what string, try func(r *Row)) bool {
	return It(id+": "+what, func() {
		r := &Row{id: id}
		try(r)
		Expect(r.shown).To(BeNumerically(">", 0), "the attack was never shown to work")
		Expect(r.defeated).To(BeNumerically(">", 0), "the attack was never defeated")
		ledger = append(ledger, r)
	})
}

// Works shows that the attack succeeds where the defence is not.
func (r *Row) Works(without string, attack func() bool) {
	GinkgoHelper()
	By(fmt.Sprintf("%s works: %s", r.id, without))
	Expect(attack()).To(BeTrue(), "%s: without the defence (%s) the attack should work, or its failing with it shows nothing", r.id, without)
	r.shown++
}

// Fails shows that the attack does not succeed where the defence is.
func (r *Row) Fails(with string, attack func() bool) {
	GinkgoHelper()
	By(fmt.Sprintf("%s fails: %s", r.id, with))
	Expect(attack()).To(BeFalse(), "%s: the attack succeeds in spite of: %s", r.id, with)
	r.defeated++
}

func figures() string {
	shown, defeated := 0, 0
	for _, r := range ledger {
		shown, defeated = shown+r.shown, defeated+r.defeated
	}
	return fmt.Sprintf("attack: %d rows, %d attacks shown, %d defeated", len(ledger), shown, defeated)
}

// TestTable: each row of the table in README.md names the file that has its spec, and no
// row is missing there.
func TestTable(t *testing.T) {
	readme, err := os.ReadFile("README.md")
	if err != nil {
		t.Fatal(err)
	}
	found := regexp.MustCompile("(?m)^\\| (T\\d+) \\|.*\\| `([a-z]+_test\\.go)` \\|$").FindAllStringSubmatch(string(readme), -1)
	const rows = 29
	if len(found) != rows {
		t.Errorf("README.md has %d rows, want %d", len(found), rows)
	}
	for i, f := range found {
		if want := fmt.Sprint("T", i+1); f[1] != want {
			t.Errorf("row %d is %s", i+1, f[1])
		}
		code, err := os.ReadFile(f[2])
		if err != nil || !regexp.MustCompile(`row\("`+f[1]+`", `).Match(code) {
			t.Errorf("%s: no spec of this row in %s (%v)", f[1], f[2], err)
		}
	}
}
