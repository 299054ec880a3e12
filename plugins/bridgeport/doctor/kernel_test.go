package doctor

import (
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// One machine has one kernel: the checks are asked about others.
func TestKernel(t *testing.T) {
	for _, tt := range []struct {
		version kernel.Version
		found   string // check and a part of the fix
	}{
		{kernel.Version{5, 4, 290}, "kernel-old: run a newer kernel"},
		{kernel.Version{5, 10, 262}, ""},
		{kernel.Version{5, 15, 167}, ""},
		{kernel.Version{5, 15, 168}, "kernel-bug: run Linux 5.15.170, or newer"},
		{kernel.Version{5, 15, 170}, ""},
		{kernel.Version{6, 0, 9}, "kernel-bug: run Linux 6.1.147, or newer"},
		{kernel.Version{6, 1, 114}, "kernel-bug: run Linux 6.1.115, or newer kernel-bug: run Linux 6.1.147, or newer"},
		{kernel.Version{6, 1, 147}, ""},
		{kernel.Version{6, 6, 99}, "kernel-bug: run Linux 6.6.100, or newer"},
		{kernel.Version{6, 6, 100}, ""},
		{kernel.Version{6, 8}, ""}, // Ubuntu's: nothing is known
		{kernel.Version{6, 11, 6}, "kernel-bug: run Linux 6.12.40, or newer"},
		{kernel.Version{6, 15, 8}, ""},
		{kernel.Version{6, 16, 1}, ""},
		{kernel.Version{7, 3, 4}, ""},
		{kernel.Version{}, ""},
	} {
		p := &Patient{Node: &node.Node{Kernel: tt.version}}
		var found []string
		for _, f := range p.Run() {
			found = append(found, f.Check+": "+f.Fix)
		}
		if got := strings.Join(found, " "); got != tt.found {
			t.Errorf("%s: got %q, want %q", tt.version, got, tt.found)
		}
	}
}
