// Package keys keeps the tables of keys in the plugins' READMEs in step with the
// code.
package keys

import (
	"os"
	"reflect"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// common are the keys that every plugin reads (pkg/log).
var common = []string{"log.level", "log.file"}

// Compare fails the test unless the table in the README has exactly the keys of the
// struct that the configuration is decoded into. A row's first cell is one key in
// backquotes, with its path: runtimeConfig.mac, ipam.ranges[][].subnet.
func Compare(t *testing.T, wire any, readme string) {
	t.Helper()
	data, err := os.ReadFile(readme)
	if err != nil {
		t.Fatal(err)
	}
	var told []string
	for _, m := range regexp.MustCompile("(?m)^\\| `([^`]+)` \\|").FindAllStringSubmatch(string(data), -1) {
		told = append(told, m[1])
	}
	read := append(fields(reflect.TypeOf(wire), "", map[reflect.Type]bool{}), common...)
	for _, key := range read {
		if !slices.Contains(told, key) {
			t.Errorf("%s: key %s is read by the code, but not in the table", readme, key)
		}
	}
	for _, key := range told {
		if !slices.Contains(read, key) {
			t.Errorf("%s: key %s is in the table, but not read by the code", readme, key)
		}
	}
}

// fields lists the paths of all keys. A type of another package is one key: its
// parts are the specification's. So is a strict one of ours, and what is in it, that was told at an
// earlier path.
func fields(t reflect.Type, path string, told map[reflect.Type]bool) []string {
	switch t.Kind() {
	case reflect.Pointer:
		return fields(t.Elem(), path, told)
	case reflect.Slice:
		if own(t.Elem()) && !told[t.Elem()] {
			return append([]string{path}, fields(t.Elem(), path+"[]", told)[1:]...)
		}
		return []string{path}
	case reflect.Struct:
		if !own(t) || told[t] {
			return []string{path}
		}
		if _, strict := reflect.New(t).Interface().(cni.Strict); strict || told[nil] {
			told[t] = true
			defer func(before bool) { told[nil] = before }(told[nil]) // what follows is in t
			told[nil] = true
		}
	default:
		return []string{path}
	}
	list := []string{}
	if strings.HasSuffix(path, "[]") {
		list = []string{path}
	}
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous {
			list = append(list, fields(f.Type, path, told)...)
			continue
		}
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if name == "" {
			return []string{path} // decoded by a method of its own
		}
		if path != "" {
			name = path + "." + name
		}
		list = append(list, fields(f.Type, name, told)...)
	}
	return list
}

// own says whether the type has keys to list: one of ours or without a name.
func own(t reflect.Type) bool {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	return t.Kind() == reflect.Struct && (t.PkgPath() == "" || strings.Contains(t.PkgPath(), "bridgeport"))
}
