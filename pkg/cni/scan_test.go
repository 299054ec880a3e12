package cni

import (
	"encoding/json"
	"fmt"
	"testing"
)

// TestScan: members and elements are found whatever stands in them.
func TestScan(t *testing.T) {
	const inner = `[1,-2.5e3 ,true,null,"a\"]}\\",{"b":[{},[]],"c":"}"} , [ ] ,""]`
	const text = " \n{ \"a\" :" + inner + `, "A":{}, "\u0062":"\u00e9", "c":null,"":0 }`
	var members, elements []string
	Members([]byte(text), func(key string, value json.RawMessage) { members = append(members, key+"="+string(value)) })
	Elements([]byte(inner), func(value json.RawMessage) { elements = append(elements, string(value)) })
	if got, want := fmt.Sprintf("%q", members), fmt.Sprintf("%q", []string{"a=" + inner, "A={}", "b=\"\\u00e9\"", "c=null", "=0"}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprintf("%q", elements), fmt.Sprintf("%q", []string{"1", "-2.5e3", "true", "null", `"a\"]}\\"`, `{"b":[{},[]],"c":"}"}`, "[ ]", `""`}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for value, want := range map[string]string{`"a"`: "a", `"\n\u00e9é"`: "\néé", "\"\xff\"": "�", `7`: "", `{}`: "", `""`: ""} {
		if got := Text([]byte(value)); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}
