package main

import (
	"regexp"
	"testing"

	"github.com/onsi/ginkgo/v2/types"
)

// Each n-th by name is chosen, by its whole text; what is no spec counts for nothing.
func TestExpression(t *testing.T) {
	report := types.Report{SuiteDescription: "S"}
	for _, text := range []string{"d", "a", "c (1)", "b", "e", "a and more"} {
		report.SpecReports = append(report.SpecReports,
			types.SpecReport{LeafNodeType: types.NodeTypeIt, ContainerHierarchyTexts: []string{"x"}, LeafNodeText: text},
			types.SpecReport{LeafNodeType: types.NodeTypeBeforeSuite, LeafNodeText: "0"})
	}
	text, err := expression(report, 3) // a, a and more, b, c (1), d, e
	if err != nil {
		t.Fatal(err)
	}
	focus := regexp.MustCompile(text)
	for text, want := range map[string]bool{"S x a": true, "S x a and more": false, "S x b": false, "S x c (1)": true, "S x d": false, "S x e": false} {
		if got := focus.MatchString(text); got != want {
			t.Errorf("%s: %t", text, got)
		}
	}
	if _, err := expression(types.Report{}, 3); err == nil {
		t.Error("no specs, and no error")
	}
}
