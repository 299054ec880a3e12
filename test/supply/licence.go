package supply

import (
	"crypto/sha256"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// Text is a file that a module's licence wants to go along with the program.
type Text struct {
	Module, Version string
	Name            string // from the module's folder
	Body            string
	Programs        []string
}

// isText are the names of such files.
var isText = regexp.MustCompile(`(?i)^(un)?(licen[cs]e|copying|copyright|notice|patents)([-._].*)?$`)

// Texts are those beside the linked packages and in the folders above them, up to their module's,
// by module and name. Go's own come first.
func Texts(programs ...*Program) ([]Text, error) {
	goroot, err := exec.Command("go", "env", "GOROOT").Output()
	if err != nil {
		return nil, fmt.Errorf("go env GOROOT: %w", err)
	}
	found := make(map[string]*Text)
	for _, p := range programs {
		for _, pkg := range p.Packages {
			module, root := pkg.Of()
			dir, version := pkg.Dir, GoVersion(p.Info)
			switch {
			case pkg.Own():
				continue
			case module == Std:
				root = strings.TrimSpace(string(goroot))
				dir = root
			default:
				version = pkg.Module.Version
			}
			if err := collect(found, p.Name, Text{Module: module, Version: version}, dir, root); err != nil {
				return nil, err
			}
		}
	}
	var list []Text
	for _, t := range found {
		list = append(list, *t)
	}
	order := func(t Text) string { return strings.TrimPrefix(t.Module, Std) + "\x00" + t.Name }
	slices.SortFunc(list, func(a, b Text) int { return strings.Compare(order(a), order(b)) })
	return list, nil
}

// collect adds the texts in dir and in the folders above it, up to root.
func collect(found map[string]*Text, program string, of Text, dir, root string) error {
	for {
		entries, err := os.ReadDir(dir)
		if err != nil {
			return err
		}
		for _, e := range entries {
			if e.IsDir() || !isText.MatchString(e.Name()) || strings.HasSuffix(e.Name(), ".go") {
				continue
			}
			path := filepath.Join(dir, e.Name())
			if found[path] == nil {
				body, err := os.ReadFile(path)
				if err != nil {
					return err
				}
				text := of
				text.Body, text.Name = string(body), strings.TrimPrefix(path, root+"/")
				found[path] = &text
			}
			if t := found[path]; !slices.Contains(t.Programs, program) {
				t.Programs = append(t.Programs, program)
			}
		}
		if len(dir) <= len(root) {
			return nil
		}
		dir = filepath.Dir(dir)
	}
}

// kinds are licences, and words that only their texts have: in lower case, without marks.
var kinds = []struct{ name, words string }{
	{"Apache-2.0", "apache license version 2 0"},
	{"MIT", "permission is hereby granted free of charge to any person obtaining a copy"},
	{"ISC", "permission to use copy modify and or distribute this software for any purpose with or without fee is hereby granted"},
	{"BSD-3-Clause", "redistribution and use in source and binary forms with or without modification are permitted"},
	{"MPL-2.0", "mozilla public license version 2 0"},
	{"EPL", "eclipse public license"},
	{"AGPL", "gnu affero general public license"},
	{"LGPL", "gnu lesser general public license"},
	{"LGPL", "gnu library general public license"},
	{"GPL", "gnu general public license"},
}

// permitted are the licences whose only condition is that their text goes along.
var permitted = []string{"Apache-2.0", "MIT", "ISC", "BSD-2-Clause", "BSD-3-Clause"}

var marks = regexp.MustCompile(`[^a-z0-9]+`)

// Kinds are the licences that a text has.
func Kinds(body string) (list []string) {
	text := marks.ReplaceAllString(strings.ToLower(body), " ")
	for _, k := range kinds {
		if !strings.Contains(text, k.words) {
			continue
		}
		name := k.name
		if name == "BSD-3-Clause" && !strings.Contains(text, "endorse or promote") {
			name = "BSD-2-Clause"
		}
		if !slices.Contains(list, name) {
			list = append(list, name)
		}
	}
	return list
}

// Grants says whether the file is a licence, and no note beside one.
func (t Text) Grants() bool {
	name := strings.ToLower(filepath.Base(t.Name))
	return !strings.HasPrefix(name, "notice") && !strings.HasPrefix(name, "patents")
}

// Problems are the modules without a licence, and licences that are unknown or not permitted.
func Problems(programs []*Program, texts []Text) (list []string) {
	granted := make(map[string]bool)
	for _, t := range texts {
		if !t.Grants() {
			continue
		}
		granted[t.Module] = true
		of := Kinds(t.Body)
		if len(of) == 0 {
			list = append(list, fmt.Sprintf("%s: %s: is no licence that is known", t.Module, t.Name))
		}
		for _, kind := range of {
			if !slices.Contains(permitted, kind) {
				list = append(list, fmt.Sprintf("%s: %s: %s is not permitted", t.Module, t.Name, kind))
			}
		}
	}
	for _, p := range programs {
		for _, m := range p.Info.Deps {
			if !granted[m.Path] {
				list = append(list, fmt.Sprintf("%s: has no licence", m.Path))
			}
		}
	}
	if !granted[Std] {
		list = append(list, Std+": has no licence")
	}
	return list
}

// Table is the list of licences, for people to read in review. A text that changes changes its sum.
func Table(texts []Text) string {
	var b strings.Builder
	for _, t := range texts {
		kind := strings.Join(Kinds(t.Body), ", ")
		if !t.Grants() {
			kind = "note"
		}
		fmt.Fprintf(&b, "%s: %s: %s, %.6x, in %s\n", t.Module, t.Name, kind, sha256.Sum256([]byte(t.Body)), strings.Join(t.Programs, ", "))
	}
	return b.String()
}

// Heading is the line above a text in the notices.
func (t Text) Heading() string { return fmt.Sprintf("== %s %s: %s", t.Module, t.Version, t.Name) }

// Notices is the file that goes along with the programs: all texts, each below its heading.
func Notices(texts []Text) string {
	var b strings.Builder
	b.WriteString("The programs are linked with the modules below, which have these licences.\n")
	for _, t := range texts {
		fmt.Fprintf(&b, "\n%s\n\n%s\n", t.Heading(), strings.TrimRight(t.Body, "\n"))
	}
	return b.String()
}
