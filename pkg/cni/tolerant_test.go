package cni

import (
	"fmt"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
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

// TestTolerant: each part of a configuration is read though the others are wrong.
func TestTolerant(t *testing.T) {
	tests := []struct{ name, config, want string }{
		{"good", `{"ipam": {"type": "host-local"}, "prevResult": {"ips": [{"address": "10.1.0.2/24"}, {"address": "fd00::2/64"}]}, "cni.dev/valid-attachments": [{"containerID": "c2", "ifname": "eth0"}]}`, "host-local [10.1.0.2/24 fd00::2/64] [{c2 eth0}]"},
		{"nothing", ``, " [] no list"},
		{"no JSON", `{"ipam": {"type": "host-local"}`, " [] no list"},
		{"not an object", `[]`, " [] no list"},
		{"wrong kinds", `{"ipam": [], "prevResult": 5, "cni.dev/valid-attachments": "all"}`, " [] no list"},
		{"null", `{"ipam": null, "prevResult": null}`, " [] no list"},
		{"empty list", `{"cni.dev/valid-attachments": []}`, " [] []"},
		{"null, as libcni sends an empty list", `{"cni.dev/valid-attachments": null}`, " [] []"},
		{"one bad address", `{"prevResult": {"ips": [{"address": "x"}, null, {"address": "10.1.0.2/24"}]}}`, " [10.1.0.2/24] no list"},
		{"other keys wrong", `{"bridge": 5, "mtu": "x", "ipam": {"type": "dhcp", "subnet": 7}}`, "dhcp [] no list"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			req := &Request{IfName: "eth0", Config: []byte(tt.config)}
			valid := "no list"
			if list, present, err := req.Valid(); present && err == nil {
				valid = fmt.Sprint(list)
			}
			if got := fmt.Sprintf("%s %v %s", req.Tolerant().IPAM, req.Tolerant().Addrs, valid); got != tt.want {
				t.Errorf("got %s, want %s", got, tt.want)
			}
		})
	}
}

// TestValidErrors: a list that can't be read is neither missing nor empty.
func TestValidErrors(t *testing.T) {
	for list, want := range map[string]string{
		`"all"`:                "cni.dev/valid-attachments: wants a list, but has a string",
		`[{"containerID": 5}]`: "cni.dev/valid-attachments.containerID: wants a string, but has a number",
	} {
		_, present, err := (&Request{Config: []byte(`{"cni.dev/valid-attachments": ` + list + `}`)}).Valid()
		wantError(t, err, CodeDecode, want)
		if !present {
			t.Errorf("%s: counts as missing", list)
		}
	}
}

// FuzzTolerant: DEL and GC go on with any configuration.
func FuzzTolerant(f *testing.F) {
	f.Add([]byte(`{"ipam": {"type": "host-local"}, "prevResult": {"ips": [{"address": "10.1.0.2/24"}]}}`))
	f.Add([]byte(`{"ipam": 5, "cni.dev/valid-attachments": [{"containerID": 5}]}`))
	f.Add([]byte(`{"bridge": {`))
	f.Fuzz(func(t *testing.T, config []byte) {
		defer limit.Cost(t)()
		req := &Request{IfName: "eth0", Config: config}
		_, _, _ = req.Valid()
		for _, p := range req.Tolerant().Addrs {
			if !p.IsValid() {
				t.Errorf("%s: an invalid address", config)
			}
		}
	})
}
