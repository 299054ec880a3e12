package cni

import (
	"cmp"
	"encoding/json"
	"reflect"
	"slices"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// Prev is prevResult, the result of the plugins before this one or of the whole ADD, in the
// newest version. Callers must not change it. Errors: CodeConfig without a prevResult,
// CodeDecode if it can't be read.
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
	list, err := split(raw, "prevResult")
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
	err = fill(reflect.ValueOf(res).Elem(), list, "prevResult.")
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
