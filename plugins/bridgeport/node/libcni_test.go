package node

import "testing"

// BuildKit writes the names of its copies into the list.
func TestRenamed(t *testing.T) {
	net, err := ParseNetwork("x", []byte(`{"cniVersion": "1.0.0", "name": "buildkit", "plugins": [
		{"type": "buildkit-cni-loopback"},
		{"type": "buildkit-cni-bridge", "bridge": "buildkit0", "ipMasq": true,
		 "ipam": {"type": "buildkit-cni-host-local", "ranges": [[{"subnet": "10.83.0.0/16"}]]}},
		{"type": "buildkit-cni-firewall"}]}`))
	if err != nil {
		t.Fatal(err)
	}
	for i, want := range []string{"buildkit-cni-loopback", "bridge", "buildkit-cni-firewall"} {
		if got := net.Plugins[i].Kind(); got != want {
			t.Errorf("plugin %d: kind %q, want %q", i, got, want)
		}
	}
	p := net.Plugins[1]
	if p.Bridge == nil || p.Bridge.Bridge != "buildkit0" || !p.Masquerades() {
		t.Errorf("bridge: read as %+v", p.Bridge)
	}
	if !p.Leases() || p.Lease == nil {
		t.Errorf("host-local: read as %+v", p.Lease)
	}
}
