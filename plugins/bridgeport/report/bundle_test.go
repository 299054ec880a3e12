package report

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func TestScrubKinds(t *testing.T) {
	for word, want := range map[string]string{
		"0a:58:0A:58:00:07": "mac-1", "2001:db8:1:2::abc": "ip6-1", "2001:db8::1": "ip6-1", "FD00:1:2:3:4:5:6:7": "ip6-1",
		"10.60.0.2": "ip4-1", "10.60.0.2/24": "ip4-1/24", "[2001:db8::2]:80": "[ip6-1]:80", "::1": "::1", "127.0.0.1": "127.0.0.1", "12:34:56": "12:34:56",
	} {
		if got := scrubber(&doctor.Patient{Node: &node.Node{}})(word); got != want {
			t.Errorf("%s: %s, want %s", word, got, want)
		}
	}
}
