package cni

import (
	"fmt"
	"testing"
)

// TestTolerantAddresses: what DEL reads of a result, whatever else is in it.
func TestTolerantAddresses(t *testing.T) {
	for prev, want := range map[string]string{
		`{"ips": [{"address": "10.1.0.2/24"}, {"address": "fd00::2/64"}]}`: "[10.1.0.2/24 fd00::2/64]",
		`{"cniVersion": "0.4.0", "interfaces": [{"name": "veth1"}, {"name": "eth0", "sandbox": "/run/netns/c1"}],
		  "ips": [{"version": "4", "address": "10.1.0.2/24", "interface": 1}, {"address": "10.1.0.1/24", "interface": 0}]}`: "[10.1.0.2/24]",
		`{"interfaces": [{"name": "eth1", "sandbox": "/run/netns/c1"}, null], "ips": [{"address": "10.1.0.2/24", "interface": 0}, {"address": "10.1.0.3/24", "interface": 1}]}`: "[]",
		`{"ips": [null, {"address": "10.1.0.2/24", "interface": 7}], "routes": 5, "cniVersion": "9"}`:                                                                           "[10.1.0.2/24]",
		`{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.2/24"}}`:                                                                                                                 "[10.1.0.2/24]",
		`{"ips": [{"address": "nowhere"}]}`: "[]",
		`{"ips": {}, "interfaces": "none"}`: "[]",
		`"none"`:                            "[]",
		`null`:                              "[]",
	} {
		got := (&Request{IfName: "eth0", Config: []byte(`{"prevResult": ` + prev + `}`)}).Tolerant().Addrs
		if fmt.Sprint(got) != want {
			t.Errorf("%s: got %v, want %s", prev, got, want)
		}
	}
}
