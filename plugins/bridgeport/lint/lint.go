package lint

import (
	"bytes"
	"cmp"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// Problem is one thing to change, or to think about.
type Problem struct {
	File     string `json:"file"`
	Line     int    `json:"line"`
	Column   int    `json:"column"`
	Severity string `json:"severity"` // "error": a call will fail; "warning": think about it
	Text     string `json:"text"`
}

func (p Problem) String() string {
	return fmt.Sprintf("%s:%d:%d: %s: %s", p.File, p.Line, p.Column, p.Severity, p.Text)
}

// linter gathers the problems of one file.
type linter struct {
	file  string
	data  []byte
	list  []Problem
	parts map[*value]*linter // of the drop-ins, each of one plugin; nil in one of them
}

// of is the linter of the plugin's file.
func (l *linter) of(p *value) *linter { return cmp.Or(l.parts[p], l) }

func (l *linter) add(severity string, at int, format string, args ...any) {
	line, column := place(l.data, at)
	l.list = append(l.list, Problem{l.file, line, column, severity, fmt.Sprintf(format, args...)})
}

func (l *linter) fail(at int, format string, args ...any) { l.add("error", at, format, args...) }
func (l *linter) warn(at int, format string, args ...any) { l.add("warning", at, format, args...) }

// File examines one configuration. The ending of name tells what the runtime takes the file for.
func File(name string, data []byte) []Problem {
	l := &linter{file: name, data: data}
	root, at, err := parse(data)
	if err != nil {
		l.fail(at, "not valid JSON: %v", err)
		return l.list
	}
	if !root.object {
		l.fail(root.at, "a network configuration is an object: { … }")
		return l.list
	}
	l.duplicates(root)
	l.network(root)
	for _, part := range l.parts {
		l.list = append(l.list, part.list...)
	}
	slices.SortStableFunc(l.list, func(a, b Problem) int {
		return cmp.Or(cmp.Compare(a.File, b.File), cmp.Compare(a.Line, b.Line), cmp.Compare(a.Column, b.Column))
	})
	return slices.Compact(l.list)
}

// dropIns reads the plugins that stand in files of their own.
func (l *linter) dropIns() (plugins []*value) {
	files, _ := node.DropIns(l.file, l.data) // of what is wrong with the list its own lines tell
	l.parts = make(map[*value]*linter)
	for _, file := range files {
		data, err := os.ReadFile(file)
		part := &linter{file: file, data: data}
		p, at, perr := parse(data)
		if err = cmp.Or(err, perr); err != nil {
			part.fail(at, "not valid JSON: %v", err)
			l.list = append(l.list, part.list...)
			continue
		}
		part.duplicates(p)
		plugins, l.parts[p] = append(plugins, p), part
	}
	return plugins
}

func (l *linter) duplicates(v *value) {
	seen := make(map[string]bool)
	for _, k := range v.kids {
		if v.object && seen[strings.ToLower(k.name)] {
			l.warn(k.key, "%q stands here twice: the last one counts", k.name)
		}
		seen[strings.ToLower(k.name)] = true
		l.duplicates(k)
	}
}

// network examines the list and each plugin in it.
func (l *linter) network(root *value) {
	more := l.dropIns()
	plugins := root.kid("plugins")
	switch {
	case plugins == nil && len(more) > 0:
		plugins = &value{}
	case plugins == nil && filepath.Ext(l.file) == ".conflist":
		l.fail(root.at, "plugins: missing: a .conflist needs a list of them")
		return
	case plugins == nil:
		l.plugin(root, root)
		l.doubts(root, []*value{root})
		return
	case plugins.object || plugins.scalar != nil || len(plugins.kids) == 0:
		l.fail(plugins.at, "plugins: wants a list of at least one plugin")
		return
	}
	if filepath.Ext(l.file) == ".conf" {
		l.warn(plugins.key, "plugins: runtimes read a .conf as a single plugin: rename the file to .conflist")
	}
	l.keys(root, listKeys, "")
	all := slices.Concat(plugins.kids, more)
	for _, p := range all {
		if p.kid("type").text() == "" {
			l.of(p).fail(p.at, "type: missing: each plugin needs the name of its program")
			continue
		}
		l.of(p).plugin(root, p)
	}
	l.doubts(root, all)
}

func (l *linter) plugin(root, p *value) {
	kind, ipam := p.kid("type").text(), p.kid("ipam")
	hostLocal := ipam.kid("type").text() == "host-local"
	if known := pluginKeys(kind); known != nil {
		l.keys(p, known, "")
	} else if hostLocal {
		l.keys(ipam, paths(lease.Wire()), "ipam.")
	}
	req, err := l.request(root, p)
	if err != nil {
		l.place(root, p, err)
		return
	}
	switch kind { // what the plugin itself says of its configuration
	case "bridge":
		_, err = bridge.Read(req)
	case "portmap":
		_, err = publish.Parse(req)
	}
	l.place(root, p, err)
	if hostLocal {
		conf, err := lease.Parse(req)
		l.place(root, p, err)
		if err == nil {
			l.room(ipam, conf)
		}
	}
}

// request is the call as a runtime would make it, without anything from the runtime.
func (l *linter) request(root, p *value) (*cni.Request, error) {
	var plugin node.Plugin
	if err := json.Unmarshal(l.slice(p), &plugin.Raw); err != nil {
		return nil, err
	}
	net := node.Network{Name: root.kid("name").text(), CNIVersion: cmp.Or(newest(root), "0.1.0")}
	call := node.Call{ContainerID: "lint", IfName: "eth0", NetNS: "/run/netns/lint"}
	return node.Request(&net, plugin, call, "ADD", nil)
}

// slice is the text of a value.
func (l *linter) slice(v *value) []byte {
	var raw json.RawMessage
	_ = json.NewDecoder(bytes.NewReader(l.data[v.at:])).Decode(&raw) // it has been parsed once
	return raw
}

// place puts an error where the key is that it begins with.
func (l *linter) place(root, p *value, err error) {
	if err == nil {
		return
	}
	path, _, _ := strings.Cut(err.Error(), ":")
	found := p.find(path)
	if inRoot := root.find(path); found == p && inRoot != root && l.parts != nil { // of a drop-in the root is in another file
		found = inRoot
	}
	l.fail(found.at, "%v", err)
}

// listKeys are those of the specification, section 1, and by what nerdctl knows its networks.
var listKeys = []string{"cniVersion", "cniVersions", "name", "disableCheck", "disableGC", "loadOnlyInlinedPlugins", "plugins", "nerdctlID", "nerdctlLabels"}

// commonKeys may stand in each plugin's configuration.
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

// keys names each member that nothing reads. Objects of which no member is known are free: args,
// runtimeConfig. Keys with a dot are another specification's, or somebody's own.
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
			l.warn(k.key, "%s: unknown key, it has no effect%s", full, show.Hint(k.name, siblings))
		}
	}
}
