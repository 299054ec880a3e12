package plan

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/bridgeport-cni/bridgeport/test/limit"
)

// FuzzComment: of what anybody may write into an alias or a comment, only tags lead to a link.
func FuzzComment(f *testing.F) {
	f.Add("30629ef8-1b753752339 lan/c1/eth0", "lan")
	f.Add("-", "")
	f.Fuzz(func(t *testing.T, comment, network string) {
		defer limit.Cost(t)()
		if tag := label.Tag(comment); OfNetwork(tag, network) && len(label.LinkOf(tag)) != 15 {
			t.Errorf("%q: would delete link %q", comment, label.LinkOf(tag))
		}
		if text := printable(comment, 255); len(text) > 255 {
			t.Errorf("%q: alias of %d bytes", comment, len(text))
		}
	})
}
