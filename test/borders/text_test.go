package borders

import (
	"go/ast"
	"slices"
	"testing"
)

// matchers are the functions of package strings that say what a text is about.
var matchers = []string{"Contains", "ContainsAny", "HasPrefix", "HasSuffix", "Index", "LastIndex", "EqualFold", "Count", "CutPrefix", "CutSuffix"}

// TestTypes: product code finds out what an error or a finding is about by its type, kind
// and field, never by its text.
func TestTypes(t *testing.T) {
	list, fset := sources(t)
	calls := 0
	for _, s := range list {
		ast.Inspect(s.file, func(n ast.Node) bool {
			fn, ok := n.(*ast.FuncDecl)
			if !ok || fn.Body == nil {
				return true
			}
			texts := textsOfErrors(fn.Body)
			ast.Inspect(fn.Body, func(n ast.Node) bool {
				call, ok := n.(*ast.CallExpr)
				if !ok || !isMatcher(call.Fun) {
					return true
				}
				calls++
				if slices.ContainsFunc(call.Args, func(a ast.Expr) bool { return ofError(a, texts) }) {
					t.Errorf("%s: %s: matches the text of an error or of a note: use its type, or the finding's kind and field", fset.Position(call.Pos()), fn.Name.Name)
				}
				return true
			})
			return false
		})
	}
	if calls < 50 {
		t.Errorf("only %d calls found", calls)
	}
}

func isMatcher(fun ast.Expr) bool {
	sel, ok := fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	pkg, ok := sel.X.(*ast.Ident)
	return ok && pkg.Name == "strings" && slices.Contains(matchers, sel.Sel.Name)
}

// textsOfErrors are the variables of a function that are given the text of an error.
func textsOfErrors(body ast.Node) map[string]bool {
	texts := make(map[string]bool)
	ast.Inspect(body, func(n ast.Node) bool {
		a, ok := n.(*ast.AssignStmt)
		for i := 0; ok && i < len(a.Lhs) && i < len(a.Rhs); i++ {
			if v, isVar := a.Lhs[i].(*ast.Ident); isVar && ofError(a.Rhs[i], nil) {
				texts[v.Name] = true
			}
		}
		return true
	})
	return texts
}

// ofError says whether an expression has the text of an error in it: a call of Error, or a
// variable that holds one; or that of a note.
func ofError(e ast.Expr, texts map[string]bool) (found bool) {
	ast.Inspect(e, func(n ast.Node) bool {
		switch n := n.(type) {
		case *ast.CallExpr:
			if sel, ok := n.Fun.(*ast.SelectorExpr); ok && sel.Sel.Name == "Error" && len(n.Args) == 0 {
				found = true
			}
		case *ast.Ident:
			found = found || texts[n.Name] || slices.Contains([]string{"note", "notes", "Notes", "Kept", "evidence", "Evidence"}, n.Name)
		}
		return true
	})
	return found
}
