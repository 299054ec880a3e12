package cni

import "testing"

func TestIs(t *testing.T) {
	for name, want := range map[string]bool{
		"bridge": true, "buildkit-cni-bridge": true, "cnv-bridge": true,
		"mybridge": false, "bridge2": false, "bridge-": false, "portmap": false, "": false, "-": false,
	} {
		if got := Is(name, "bridge"); got != want {
			t.Errorf("%q: got %t", name, got)
		}
	}
	if !Is("buildkit-cni-host-local", "host-local") {
		t.Error("a plugin's own name may have a dash")
	}
}
