package cni

import (
	"cmp"
	"encoding/json"
	"net"
	"reflect"
	"slices"
	"strings"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// newForm says whether results of the version have the form of current.Result.
func newForm(cniVersion string) bool {
	return cniVersion == "1.0.0" || cniVersion == current.ImplementedSpecVersion
}

// plain is a value as maps, lists and strings, which encode to the library's bytes. The library
// encodes twice, with codecs for each type: 85 µs, 2.6 % of an ADD.
func plain(v reflect.Value) any {
	switch x := v.Interface().(type) {
	case net.IPNet:
		return x.String()
	case net.IP:
		return x.String()
	}
	switch v.Kind() {
	case reflect.Pointer:
		return plain(v.Elem())
	case reflect.Struct:
		return plainObject(v)
	case reflect.Slice:
		list := make([]any, v.Len())
		for i := range list {
			list[i] = plain(v.Index(i))
		}
		return list
	}
	return v.Interface()
}

// plainObject leaves out empty fields that the specification does not require. A field of the
// library without a tag has its key as name, in another case.
func plainObject(v reflect.Value) map[string]any {
	object := make(map[string]any)
	for i := range v.NumField() {
		field, value := v.Type().Field(i), v.Field(i)
		key, _, _ := strings.Cut(cmp.Or(field.Tag.Get("json"), strings.ToLower(field.Name)), ",")
		required := key == "name" || key == "address" || key == "dst"
		if empty := value.IsZero() || value.Kind() == reflect.Slice && value.Len() == 0; required || !empty {
			object[key] = plain(value)
		}
	}
	return object
}

// Prev is prevResult, of the plugins before this one or of the whole ADD, in the newest version.
// Callers must not change it. Errors: CodeConfig without one, CodeDecode if it can't be read.
func (req *Request) Prev() (*current.Result, error) {
	if req.prev != nil {
		return req.prev, nil
	}
	var w struct {
		PrevResult json.RawMessage `json:"prevResult"`
	}
	if err := req.Decode(&w); err != nil {
		return nil, err
	}
	if w.PrevResult == nil || isNull(w.PrevResult) {
		return nil, Errorf(CodeConfig, "prevResult: missing, %s needs the result of ADD", req.Command)
	}
	res, err := readResult(w.PrevResult, req.CNIVersion)
	if err == nil {
		req.prev = res
	}
	return res, err
}

// readResult reads a result. version counts if the result names none (specification, section 3).
func readResult(raw []byte, version string) (*current.Result, error) {
	at := place{{key: "prevResult"}}
	list, err := split(raw, at)
	if err != nil {
		return nil, err
	}
	for _, m := range list {
		var entries []json.RawMessage
		_ = json.Unmarshal(m.value, &entries) // what is no list has none
		if i := slices.IndexFunc(entries, isNull); i >= 0 {
			return nil, Errorf(CodeDecode, "prevResult: %s[%d] is null", m.key, i) // the library follows it
		}
	}
	res := new(current.Result)
	err = fill(reflect.ValueOf(res).Elem(), list, at)
	version, res.CNIVersion = cmp.Or(res.CNIVersion, version), current.ImplementedSpecVersion
	if newForm(version) {
		return res, err
	}
	// The library reads the older forms, and needs the version in each.
	var all map[string]json.RawMessage
	_ = json.Unmarshal(raw, &all)
	all["cniVersion"], _ = json.Marshal(version)
	text, _ := json.Marshal(all) // what was read can be written
	old, err := create.Create(version, text)
	if err == nil {
		res, err = current.NewResultFromResult(old)
	}
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	return res, nil
}

func isNull(value json.RawMessage) bool { return string(value) == "null" }
