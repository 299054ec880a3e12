package hostport

import "testing"

func TestProtocol(t *testing.T) {
	for name, want := range map[string]uint8{"tcp": 6, "udp": 17, "sctp": 132, "TCP": 0, "icmp": 0, "": 0} {
		if got, ok := Protocol(name); got != want || ok != (want != 0) {
			t.Errorf("%q: got %d, %t", name, got, ok)
		}
	}
}
