package iptables

import (
	"encoding/binary"
	"testing"
)

// FuzzLegacyRules: nothing that a kernel could hand us makes us read beyond it.
func FuzzLegacyRules(f *testing.F) {
	rule := make([]byte, layout4.size+40)
	binary.NativeEndian.PutUint16(rule[layout4.offsets:], uint16(layout4.size))
	binary.NativeEndian.PutUint16(rule[layout4.offsets+2:], uint16(len(rule)))
	f.Add(rule, false)
	f.Add(append(rule, rule...), false)
	f.Add(rule[:layout4.size], true)
	f.Fuzz(func(_ *testing.T, table []byte, ipv6 bool) {
		l := layout4
		if ipv6 {
			l = layout6
		}
		t := forwardTable{rules: legacyRules(l, table)}
		for i, r := range t.rules {
			t.first, t.last = 0, i
			t.drops()
			r.notFor("br0")
		}
		t.mayAccept(0, len(t.rules), "br0", make(map[int]bool))
		t.accepts(func(string) bool { return true })
		t.has(DockerUser)
	})
}
