package supply

import (
	"encoding/base64"
	"encoding/hex"
	"maps"
	"runtime/debug"
	"slices"
	"strings"
	"testing"
)

// TestKinds: texts and what is said of them.
func TestKinds(t *testing.T) {
	for body, want := range map[string]string{
		"Apache License\n   Version 2.0, January 2004":                                                                       "",
		"Permission is hereby granted, free of charge,\n// to any person obtaining a copy":                                   "",
		"Redistribution and use in source and binary forms, with or without modification, are permitted":                     "",
		"GNU GENERAL PUBLIC LICENSE\n Version 2, June 1991":                                                                  "m: LICENSE: GPL is not permitted",
		"GNU Lesser General Public License":                                                                                  "m: LICENSE: LGPL is not permitted",
		"GNU AFFERO GENERAL PUBLIC LICENSE":                                                                                  "m: LICENSE: AGPL is not permitted",
		"Mozilla Public License Version 2.0":                                                                                 "m: LICENSE: MPL-2.0 is not permitted",
		"Permission is hereby granted, free of charge, to any person obtaining a copy, or by the GNU General Public License": "m: LICENSE: GPL is not permitted",
		"All rights reserved.": "m: LICENSE: is no licence that is known",
	} {
		texts := []Text{{Module: Std, Name: "LICENSE", Body: "Apache License Version 2.0"}, {Module: "m", Name: "LICENSE", Body: body}}
		if got := strings.Join(Problems(nil, texts), "; "); got != want {
			t.Errorf("%q: problems %q, want %q", body, got, want)
		}
	}
	bare := &Program{Info: &debug.BuildInfo{Deps: []*debug.Module{{Path: "m"}}}}
	note := []Text{{Module: "m", Name: "NOTICE", Body: "Apache License Version 2.0"}}
	if got := Problems([]*Program{bare}, note); !slices.Equal(got, []string{"m: has no licence", "std: has no licence"}) {
		t.Errorf("a note is taken for a licence: %q", got)
	}
}

// TestDifference: what comes in, goes and grows is named, and a few bytes are not.
func TestDifference(t *testing.T) {
	was := Budget{"a: bytes": 1000, "a: modules": 3, "a: packages of m": 1}
	if read := ParseBudget("About it.\n\n" + was.String()); !maps.Equal(read, was) {
		t.Errorf("%v is read as %v", was, read)
	}
	for _, c := range []struct {
		now  Budget
		want string
	}{
		{Budget{"a: bytes": 1020, "a: modules": 3, "a: packages of m": 1}, ""},
		{Budget{"a: bytes": 1021, "a: modules": 3, "a: packages of m": 1}, "a: bytes: were 1000, are 1021"},
		{Budget{"a: bytes": 979, "a: modules": 3, "a: packages of m": 1}, "a: bytes: were 1000, are 979"},
		{Budget{"a: bytes": 1000, "a: modules": 4, "a: packages of m": 1, "a: packages of n": 2}, "a: modules: were 3, are 4; a: packages of n: 2: came in"},
		{Budget{"a: bytes": 1000, "a: modules": 3}, "a: packages of m: 1: went"},
	} {
		if got := strings.Join(was.Difference(c.now), "; "); got != c.want {
			t.Errorf("%v: %q, want %q", c.now, got, c.want)
		}
	}
}

// of is build information, and the list that says the same.
func of() (*debug.BuildInfo, BOM) {
	sum := func(b byte) string { return "h1:" + base64.StdEncoding.EncodeToString([]byte{b}) }
	info := &debug.BuildInfo{GoVersion: "go1.26.8-X:some", Main: debug.Module{Path: "us"}, Deps: []*debug.Module{
		{Path: "a", Version: "v1.0.0", Sum: sum(1)}, {Path: "b", Version: "v2.0.0", Sum: sum(2)},
	}}
	var bom BOM
	bom.Metadata.Component = Component{Name: "us", Version: "v1"}
	bom.Metadata.Properties = []struct{ Name, Value string }{{"cdx:gomod:binary:hash:SHA-256", "abc"}}
	for i, m := range append(info.Deps, &debug.Module{Path: Std, Version: "go1.26.8"}) {
		c := Component{Name: m.Path, Version: m.Version, Purl: "pkg:golang/" + m.Path + "@" + m.Version + "?type=module"}
		if m.Path != Std {
			c.Hashes = []struct{ Alg, Content string }{{"SHA-256", hex.EncodeToString([]byte{byte(i + 1)})}}
		}
		bom.Components = append(bom.Components, c)
	}
	return info, bom
}

// TestWrong: a list of modules that differs in one thing from the program is told so, and a program
// that differs from go.mod or go.sum.
func TestWrong(t *testing.T) {
	for name, c := range map[string]struct {
		spoil func(*debug.BuildInfo, *BOM)
		want  string
	}{
		"nothing":   {func(*debug.BuildInfo, *BOM) {}, ""},
		"release":   {func(_ *debug.BuildInfo, b *BOM) { b.Metadata.Component.Version = "" }, `the list is of us ""`},
		"file":      {func(_ *debug.BuildInfo, b *BOM) { b.Metadata.Properties = nil }, `a file with SHA-256 ""`},
		"version":   {func(_ *debug.BuildInfo, b *BOM) { b.Components[0].Version = "v1.0.1" }, "a: is listed as v1.0.1 and linked as v1.0.0"},
		"sum":       {func(_ *debug.BuildInfo, b *BOM) { b.Components[1].Hashes[0].Content = "03" }, `b: is listed with SHA-256 "03"`},
		"address":   {func(_ *debug.BuildInfo, b *BOM) { b.Components[1].Purl = "pkg:golang/b@v1.0.0?" }, "b: has the address"},
		"lacking":   {func(_ *debug.BuildInfo, b *BOM) { b.Components = b.Components[1:] }, "a: is linked and not listed"},
		"Go":        {func(_ *debug.BuildInfo, b *BOM) { b.Components = b.Components[:2] }, "std: is linked and not listed"},
		"twice":     {func(_ *debug.BuildInfo, b *BOM) { b.Components = append(b.Components, b.Components[0]) }, "a: is listed and not linked"},
		"more":      {func(i *debug.BuildInfo, _ *BOM) { i.Deps = i.Deps[1:] }, "a: is listed and not linked"},
		"unknown":   {func(i *debug.BuildInfo, b *BOM) { i.Deps[0].Path, b.Components[0] = "c", Component{} }, "c: is not in go.mod"},
		"go.mod":    {func(i *debug.BuildInfo, _ *BOM) { i.Deps[0].Version = "v1.1.0" }, "a: is linked as v1.1.0, go.mod has v1.0.0"},
		"go.sum":    {func(i *debug.BuildInfo, _ *BOM) { i.Deps[0].Sum = "h1:BBBB" }, `a v1.0.0: is linked with sum "h1:BBBB"`},
		"no sum":    {func(i *debug.BuildInfo, _ *BOM) { i.Deps[0].Sum = "" }, `a v1.0.0: is linked with sum ""`},
		"replaced":  {func(i *debug.BuildInfo, _ *BOM) { i.Deps[0].Replace = &debug.Module{Path: "/d"} }, "a: is replaced by /d"},
		"other Go":  {func(i *debug.BuildInfo, _ *BOM) { i.GoVersion = "go1.27.0" }, "std: is listed as go1.26.8 and linked as go1.27.0"},
		"no module": {func(i *debug.BuildInfo, _ *BOM) { i.Main.Path = "others" }, "the program of others"},
	} {
		t.Run(name, func(t *testing.T) {
			info, bom := of()
			modules := make(Modules)
			for _, d := range info.Deps {
				modules[d.Path] = struct{ Version, Sum string }{d.Version, d.Sum}
			}
			c.spoil(info, &bom)
			got := strings.Join(append(modules.Wrong(info), bom.Wrong(info, "v1", "abc")...), "; ")
			if got != c.want && (c.want == "" || !strings.Contains(got, c.want)) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}
