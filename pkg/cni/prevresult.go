package cni

import (
	"encoding/json"

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
	// Its version is the configuration's (specification, section 3).
	version := req.CNIVersion
	var head header
	if err := json.Unmarshal(w.PrevResult, &head); err == nil && head.CNIVersion != "" {
		version = head.CNIVersion
	}
	res, err := create.Create(version, w.PrevResult)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	out, err := current.NewResultFromResult(res)
	if err != nil {
		return nil, Errorf(CodeDecode, "prevResult: %w", err)
	}
	return out, nil
}
