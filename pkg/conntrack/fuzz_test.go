package conntrack

import (
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
)

// FuzzParse: whatever the kernel says of a flow, there is no panic.
func FuzzParse(f *testing.F) {
	orig := nest(tupleOrig, ip("192.0.2.9", "192.0.2.1"), proto(17, "\x00\x09", "\x00\x35"))
	reply := nest(tupleReply, ip("10.88.0.2", "192.0.2.9"), proto(17, "\x14\xe9", "\x00\x09"))
	f.Add(slices.Concat(orig, reply))
	f.Add(orig)
	f.Add([]byte{2})
	f.Add([]byte{3, 0, 1, 0})
	f.Add([]byte{12, 0, 1, 128, 8, 0, 2, 128, 4, 0, 1, 0})
	f.Fuzz(func(t *testing.T, data []byte) {
		defer limit.Cost(t)()
		if flow, ok := parse(data); ok && (!flow.Dest.Addr().IsValid() || !flow.Server.Addr().IsValid()) {
			t.Errorf("a flow from nowhere: %+v", flow)
		}
	})
}
