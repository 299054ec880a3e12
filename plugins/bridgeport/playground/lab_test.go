package playground

import (
	"encoding/json"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	l := Lab{Name: "x", Dir: filepath.Join(t.TempDir(), "lab"), Bin: t.TempDir(), Run: filepath.Join(t.TempDir(), "run")}
	for _, names := range []string{"../x", "host", "outside", "a/b", ".", "", "-x", "red blue red", "red ../x", "a b/c", strings.Repeat("x", 200), "a\nb"} {
		list := strings.Split(names, " ")
		if _, err := l.Up(list, Network{}); err == nil || !strings.HasPrefix(err.Error(), "lab: ") || strings.Contains(err.Error(), "network") {
			t.Errorf("%q: %v", names, err)
		}
		for _, dir := range []string{l.Dir, l.Run} {
			if _, err := os.Stat(dir); err == nil {
				t.Fatalf("%q: made %s", names, dir)
			}
		}
	}
	if err := l.Shell("../x", nil); err == nil || !strings.HasPrefix(err.Error(), "lab: ") {
		t.Errorf("sh ../x: %v", err)
	}
	if err := l.check([]string{"red", "blue-2", "a.b_c"}); err != nil {
		t.Error(err)
	}
	for _, name := range []string{"a-b", "../x", "a b", strings.Repeat("x", 33)} {
		if _, err := New(name, ""); err == nil || !strings.HasPrefix(err.Error(), "lab: ") {
			t.Errorf("lab %q: %v", name, err)
		}
	}
}

// TestLikes compares v-net-0 with the configuration that it is named after.
func TestLikes(t *testing.T) {
	decode := func(text []byte) (conf map[string]any) {
		t.Helper()
		if err := json.Unmarshal(text, &conf); err != nil {
			t.Fatal(err)
		}
		return conf
	}
	want, err := os.ReadFile("../../../conf/demo/v-net-0.conflist")
	if err != nil {
		t.Fatal(err)
	}
	if got := like("v-net-0"); !reflect.DeepEqual(decode(got), decode(want)) {
		t.Errorf("v-net-0 is %s", got)
	}
	decode(like("lab"))
}
