package cni

import (
	"fmt"
	"testing"
)

// TestScan: members and elements are found whatever stands in them.
func TestScan(t *testing.T) {
	const inner = `[1,-2.5e3 ,true,null,"a\"]}\\",{"b":[{},[]],"c":"}"} , [ ] ,""]`
	const outer = " \n{ \"a\" :" + inner + `, "A":{}, "\u0062":"\u00e9", "c":null,"":0 }`
	var found []string
	for _, m := range members(nil, []byte(outer)) {
		found = append(found, string(m.key)+"="+string(m.value))
	}
	if got, want := fmt.Sprintf("%q", found), fmt.Sprintf("%q", []string{"a=" + inner, "A={}", "b=\"\\u00e9\"", "c=null", "=0"}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	if got, want := fmt.Sprintf("%q", elements(nil, []byte(inner))), fmt.Sprintf("%q", []string{"1", "-2.5e3", "true", "null", `"a\"]}\\"`, `{"b":[{},[]],"c":"}"}`, "[ ]", `""`}); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
	for value, want := range map[string]string{`"a"`: "a", `"\n\u00e9é"`: "\néé", "\"\xff\"": "�", `7`: "", `{}`: "", `""`: ""} {
		if got := string(text([]byte(value))); got != want {
			t.Errorf("%s: got %q, want %q", value, got, want)
		}
	}
}
