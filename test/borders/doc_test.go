package borders

import (
	"go/ast"
	"go/token"
	"slices"
	"testing"
)

// TestDoc: each package and each exported name has a comment that says what it is. A method
// that an interface of ours or one of the library's everyday ones asks for needs none: the
// interface says it.
func TestDoc(t *testing.T) {
	list, fset := sources(t)
	asked := []string{"Error", "Unwrap", "String", "Len"}
	about := make(map[string]bool)
	for _, s := range list {
		asked = append(asked, interfaceMethods(s.file)...)
		about[s.pkg] = about[s.pkg] || s.file.Doc != nil
	}
	for pkg, ok := range about {
		if !ok {
			t.Errorf("%s: the package has no comment", pkg)
		}
	}
	for _, s := range list {
		for _, d := range s.file.Decls {
			for _, name := range undocumented(d, asked) {
				t.Errorf("%s:%d: %s has no comment", s.path, fset.Position(d.Pos()).Line, name)
			}
		}
	}
}

func interfaceMethods(file *ast.File) (names []string) {
	ast.Inspect(file, func(n ast.Node) bool {
		if i, ok := n.(*ast.InterfaceType); ok {
			for _, m := range i.Methods.List {
				for _, name := range m.Names {
					names = append(names, name.Name)
				}
			}
		}
		return true
	})
	return names
}

// undocumented are the exported names of a declaration without a comment of their own, of
// their group, or behind them on the line.
func undocumented(d ast.Decl, asked []string) (names []string) {
	switch d := d.(type) {
	case *ast.FuncDecl:
		method := d.Recv != nil
		if d.Doc == nil && d.Name.IsExported() && !(method && (slices.Contains(asked, d.Name.Name) || !exportedReceiver(d))) {
			names = append(names, d.Name.Name)
		}
	case *ast.GenDecl:
		for _, spec := range d.Specs {
			if d.Doc == nil && !commented(spec) {
				names = append(names, exportedNames(spec)...)
			}
		}
	}
	return names
}

func exportedReceiver(d *ast.FuncDecl) bool {
	typ := d.Recv.List[0].Type
	if star, ok := typ.(*ast.StarExpr); ok {
		typ = star.X
	}
	if generic, ok := typ.(*ast.IndexExpr); ok {
		typ = generic.X
	}
	name, ok := typ.(*ast.Ident)
	return !ok || name.IsExported()
}

func commented(spec ast.Spec) bool {
	switch s := spec.(type) {
	case *ast.TypeSpec:
		return s.Doc != nil || s.Comment != nil
	case *ast.ValueSpec:
		return s.Doc != nil || s.Comment != nil
	}
	return true // an import
}

func exportedNames(spec ast.Spec) (names []string) {
	var all []*ast.Ident
	switch s := spec.(type) {
	case *ast.TypeSpec:
		all = []*ast.Ident{s.Name}
	case *ast.ValueSpec:
		all = s.Names
	}
	for _, name := range all {
		if token.IsExported(name.Name) {
			names = append(names, name.Name)
		}
	}
	return names
}
