package cni

import (
	"encoding/json"
	"reflect"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
	"github.com/containernetworking/cni/pkg/types"
)

// TestDecode: the message names the key, what it has and what it wants.
func TestDecode(t *testing.T) {
	type inner struct {
		Subnet string `json:"subnet"`
	}
	type conf struct {
		Name  string    `json:"name"`
		MTU   int       `json:"mtu"`
		Port  uint16    `json:"port"`
		On    bool      `json:"on"`
		Snat  *bool     `json:"snat"`
		Table *int      `json:"table"`
		List  []string  `json:"list"`
		Sets  [][]inner `json:"sets"`
		IPAM  *inner    `json:"ipam"`
		own   int
	}
	tests := []struct{ name, in, want string }{
		{"good", `{"name": "n", "mtu": 1500, "on": true, "list": ["a"], "ipam": {"subnet": "s"}}`, ""},
		{"keys without regard to case", `{"NAME": "n", "Mtu": 1500}`, ""},
		{"null is no value", `{"name": null, "mtu": null, "ipam": null}`, ""},
		{"no key of ours", `{"": 7, "own": 7}`, ""},
		{"string", `{"name": 1}`, "name: wants a string, but has a number"},
		{"string, object given", `{"name": {}}`, "name: wants a string, but has an object"},
		{"number", `{"mtu": "1500"}`, "mtu: wants a whole number, but has a string"},
		{"fraction", `{"mtu": 1.5}`, "mtu: wants a whole number, but has a number 1.5"},
		{"out of range", `{"port": 65536}`, "port: wants a whole number, but has a number 65536"},
		{"pointer to number", `{"table": "main"}`, "table: wants a whole number, but has a string"},
		{"bool", `{"on": "true"}`, "on: wants true or false, but has a string"},
		{"pointer to bool", `{"snat": 1}`, "snat: wants true or false, but has a number"},
		{"list", `{"list": "a"}`, "list: wants a list, but has a string"},
		{"list of lists", `{"sets": [{"subnet": "s"}]}`, "sets[0]: wants a list, but has an object"},
		{"in a list", `{"sets": [[{"subnet": 5}]]}`, "sets[0][0].subnet: wants a string, but has a number"},
		{"object", `{"ipam": "host-local"}`, "ipam: wants an object, but has a string"},
		{"string, list given", `{"ipam": {"subnet": []}}`, "ipam.subnet: wants a string, but has an array"},
		{"not JSON", `{"name": }`, "network configuration: not valid JSON: invalid character '}' looking for beginning of value"},
		{"two values", `{} {}`, "network configuration: not valid JSON: invalid character '{' after top-level value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c conf
			wantError(t, (&Request{Config: []byte(tt.in)}).Decode(&c), CodeDecode, tt.want)
			if c.own != 0 {
				t.Error("a field without a tag was set")
			}
		})
	}
}

// FuzzDecode: whatever comes, a struct gets what json.Unmarshal would give it, and a mistake
// is one for both.
func FuzzDecode(f *testing.F) {
	type inner struct {
		A string   `json:"a,omitempty"`
		B []string `json:"b"`
	}
	type conf struct {
		Name string `json:"name"`
		MTU  int    `json:"mtu"`
		On   *bool  `json:"on"`
		In   inner  `json:"in"`
		To   *inner `json:"to"`
		Deep struct {
			To *inner `json:"to"`
		} `json:"deep"`
		Sets []inner         `json:"sets"`
		Raw  json.RawMessage `json:"raw"`
		Net  types.IPNet     `json:"net"`
	}
	for _, seed := range []string{
		``, `{}`, ` { } `, `null`, `[]`, `7`, `{"name":"n"}x`,
		`{"name":"\"}{\\","mtu":15 ,"on" : true}`, "{\"na\\u006de\":\"\\u00e9\",\r\n\t\"NAME\":\"2\"}",
		`{"in":{"a":"x","b":[]},"to":{"b":["]",{}]},"to":{"A":"y"},"deep":{"to":null}}`,
		`{"to":{"a":"x"},"to":null,"in":null,"on":null}`, `{"sets":[{"a":"}"},null],"raw":[1, {"a":"]"}]}`,
		`{"net":"10.1.0.0/16"}`, `{"net":{}}`, `{"mtu":1e3,"name":5,"in":{"a":true}}`, `{"x":{"name":"y"},"":0}`,
		"{\"\xff\":1,\"in\":[],\"to\":\"\"}", `{"name":`, `{"raw":-0.5e+7}`,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		defer limit.Cost(t)()
		var have, want conf
		err, werr := (&Request{Config: text}).Decode(&have), json.Unmarshal(text, &want)
		if (err == nil) != (werr == nil) {
			t.Fatalf("%q: got %v, json says %v", text, err, werr)
		}
		if err == nil && !reflect.DeepEqual(have, want) {
			t.Errorf("%q: got %+v, want %+v", text, have, want)
		}
	})
}
