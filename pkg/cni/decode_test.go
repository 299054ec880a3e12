package cni

import "testing"

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
	}
	tests := []struct{ name, in, want string }{
		{"good", `{"name": "n", "mtu": 1500, "on": true, "list": ["a"], "ipam": {"subnet": "s"}}`, ""},
		{"keys without regard to case", `{"NAME": "n", "Mtu": 1500}`, ""},
		{"null is no value", `{"name": null, "mtu": null, "ipam": null}`, ""},
		{"string", `{"name": 1}`, "name: wants a string, but has a number"},
		{"string, object given", `{"name": {}}`, "name: wants a string, but has an object"},
		{"number", `{"mtu": "1500"}`, "mtu: wants a whole number, but has a string"},
		{"fraction", `{"mtu": 1.5}`, "mtu: wants a whole number, but has a number 1.5"},
		{"out of range", `{"port": 65536}`, "port: wants a whole number, but has a number 65536"},
		{"pointer to number", `{"table": "main"}`, "table: wants a whole number, but has a string"},
		{"bool", `{"on": "true"}`, "on: wants true or false, but has a string"},
		{"pointer to bool", `{"snat": 1}`, "snat: wants true or false, but has a number"},
		{"list", `{"list": "a"}`, "list: wants a list, but has a string"},
		{"list of lists", `{"sets": [{"subnet": "s"}]}`, "sets: wants a list, but has an object"},
		{"in a list", `{"sets": [[{"subnet": 5}]]}`, "sets.subnet: wants a string, but has a number"},
		{"object", `{"ipam": "host-local"}`, "ipam: wants an object, but has a string"},
		{"string, list given", `{"ipam": {"subnet": []}}`, "ipam.subnet: wants a string, but has an array"},
		{"not JSON", `{"name": }`, "network configuration: not valid JSON: invalid character '}' looking for beginning of value"},
		{"two values", `{} {}`, "network configuration: not valid JSON: invalid character '{' after top-level value"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			var c conf
			wantError(t, Decode([]byte(tt.in), &c), CodeDecode, tt.want)
		})
	}
}
