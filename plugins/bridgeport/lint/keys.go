package lint

import (
	"reflect"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
)

// listKeys are those of the specification, section 1.
// Those of nerdctl are what it knows its networks by.
var listKeys = []string{"cniVersion", "cniVersions", "name", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "plugins", "nerdctlID", "nerdctlLabels"}

// commonKeys may stand in each plugin's configuration. Keys with a dot are another
// specification's, or somebody's own.
var commonKeys = []string{"type", "name", "cniVersion", "capabilities", "args", "runtimeConfig", "prevResult", "ipam", "dns", "log"}

// pluginKeys are the paths that one of our plugins reads; nil for others' plugins.
func pluginKeys(kind string) []string {
	switch kind {
	case "bridge": // which may publish ports itself
		return slices.Concat(commonKeys, paths(bridge.Wire()), paths(publish.Wire()), paths(lease.Wire()))
	case "portmap":
		return slices.Concat(commonKeys, paths(publish.Wire()))
	}
	return nil
}

// paths lists the keys that the struct is decoded from, with their paths.
func paths(wire any) []string { return fields(reflect.TypeOf(wire), "") }

func fields(t reflect.Type, path string) (list []string) {
	for t.Kind() == reflect.Pointer || t.Kind() == reflect.Slice {
		t = t.Elem()
	}
	if t.Kind() != reflect.Struct {
		return nil
	}
	for f := range t.Fields() {
		name, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		switch {
		case f.Anonymous:
			list = append(list, fields(f.Type, path)...)
		case name != "":
			full := strings.TrimPrefix(path+"."+name, ".")
			list = append(append(list, full), fields(f.Type, full)...)
		}
	}
	return list
}

// keys names each member that nothing reads. Objects of which no member is known are
// free: args, runtimeConfig.
func (l *linter) keys(v *value, known []string, path string) {
	if v == nil {
		return
	}
	if !v.object {
		for _, k := range v.kids {
			l.keys(k, known, path)
		}
		return
	}
	var siblings []string
	for _, k := range known {
		if rest, ok := strings.CutPrefix(k, path); ok && !strings.Contains(rest, ".") {
			siblings = append(siblings, rest)
		}
	}
	if len(siblings) == 0 {
		return
	}
	foreign := path == "ipam." && v.kid("type").text() != "host-local"
	for _, k := range v.kids {
		full := path + k.name
		switch {
		case slices.ContainsFunc(siblings, func(s string) bool { return strings.EqualFold(s, k.name) }):
			l.keys(k, known, full+".")
		case foreign, path == "args." || path == "runtimeConfig." || path == "args.cni.", strings.Contains(k.name, "."), strings.HasPrefix(k.name, "_"):
		default:
			l.warn(k.key, "%s: unknown key, it has no effect%s", full, hint(k.name, siblings))
		}
	}
}

// hint names the word that differs by few letters; "" if none does.
func hint(word string, list []string) (text string) {
	least := len(word)/3 + 1
	for _, w := range list {
		if d := distance(strings.ToLower(word), strings.ToLower(w)); d <= least {
			text, least = ": did you mean \""+w+"\"?", d-1
		}
	}
	return text
}

// distance is Levenshtein's.
func distance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		last := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := last
			if a[i] != b[j] {
				cost++
			}
			last = row[j+1]
			row[j+1] = min(cost, row[j]+1, last+1)
		}
	}
	return row[len(b)]
}
