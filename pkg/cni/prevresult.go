package cni

import (
	"bytes"
	"encoding/json"
	"reflect"

	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
)

// PrevResult is the result of the plugins before this one, or of the whole ADD, in
// the newest version. Errors: CodeConfig if there is none, CodeDecode if it can't
// be read.
func PrevResult(req *Request) (*current.Result, error) {
	var w struct {
		PrevResult json.RawMessage `json:"prevResult"`
	}
	if err := Decode(req.Config, &w); err != nil {
		return nil, err
	}
	if len(w.PrevResult) == 0 || string(w.PrevResult) == "null" {
		return nil, Errorf(CodeConfig, "prevResult: missing, %s needs the result of ADD", req.Command)
	}
	version, raw, err := versioned(w.PrevResult, req.CNIVersion)
	if err != nil {
		return nil, err
	}
	if newForm(version) {
		res := new(current.Result)
		err := decodeValue(raw, reflect.ValueOf(res).Elem(), "prevResult")
		res.CNIVersion = current.ImplementedSpecVersion
		return res, err
	}
	res, err := create.Create(version, raw)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	out, err := current.NewResultFromResult(res)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	return out, nil
}

// versioned makes sure that the result names its version, which is the
// configuration's if it names none (specification, section 3), and that it has no
// holes: the library follows a null in a list.
func versioned(raw []byte, version string) (string, []byte, error) {
	object := bytes.TrimLeft(raw, space)
	if object[0] != '{' {
		return "", nil, inWords("prevResult", json.Unmarshal(raw, new(struct{})))
	}
	var own string
	var hole error
	members(object, func(key string, value []byte) {
		if key == "cniVersion" {
			_ = json.Unmarshal(value, &own)
		}
		var list []json.RawMessage
		if value[0] != '[' || json.Unmarshal(value, &list) != nil {
			return
		}
		for i, entry := range list {
			if string(entry) == "null" && hole == nil {
				hole = Errorf(CodeDecode, "prevResult: %s[%d] is null", key, i)
			}
		}
	})
	if hole != nil || own != "" {
		return own, raw, hole
	}
	var parts map[string]json.RawMessage
	if err := json.Unmarshal(raw, &parts); err != nil {
		return "", nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	parts["cniVersion"], _ = json.Marshal(version) // a string always can be
	raw, err := json.Marshal(parts)
	return version, raw, err
}
