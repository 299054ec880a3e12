package playground

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestNames(t *testing.T) {
	l := Lab{Dir: filepath.Join(t.TempDir(), "lab"), Bin: t.TempDir(), Run: filepath.Join(t.TempDir(), "run")}
	for _, names := range []string{"../x", "host", "outside", "a/b", ".", "", "-x", "red blue red", "red ../x", "a b/c", strings.Repeat("x", 200), "a\nb"} {
		list := strings.Split(names, " ")
		if _, err := l.Up(list); err == nil || !strings.HasPrefix(err.Error(), "lab: ") {
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
	if err := check([]string{"red", "blue-2", "a.b_c"}); err != nil {
		t.Error(err)
	}
}
