package cni

import (
	"strings"
	"testing"
)

// TestPrevResult: every version's form becomes the newest one's.
func TestPrevResult(t *testing.T) {
	tests := []struct{ name, version, prev string }{
		{"0.1.0", "0.1.0", `{"ip4": {"ip": "10.1.0.2/24", "gateway": "10.1.0.1"}}`},
		{"0.2.0", "0.2.0", `{"cniVersion": "0.2.0", "ip4": {"ip": "10.1.0.2/24", "gateway": "10.1.0.1"}}`},
		{"0.3.0", "0.3.0", `{"cniVersion": "0.3.0", "ips": [{"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
		{"0.3.1", "0.3.1", `{"cniVersion": "0.3.1", "ips": [{"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
		{"0.4.0", "0.4.0", `{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
		{"1.0.0", "1.0.0", `{"cniVersion": "1.0.0", "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
		{"1.1.0", "1.1.0", `{"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
		{"the configuration's, where it says none", "1.0.0", `{"ips": [{"address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
		{"its own before the configuration's", "1.1.0", `{"cniVersion": "0.4.0", "ips": [{"version": "4", "address": "10.1.0.2/24", "gateway": "10.1.0.1"}]}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := (&Request{CNIVersion: tt.version, Config: []byte(`{"prevResult": ` + tt.prev + `}`)}).Prev()
			if err != nil {
				t.Fatal(err)
			}
			if got.CNIVersion != "1.1.0" || len(got.IPs) != 1 || got.IPs[0].Address.String() != "10.1.0.2/24" || got.IPs[0].Gateway.String() != "10.1.0.1" {
				t.Errorf("got %+v", got)
			}
		})
	}
}

func TestPrevResultErrors(t *testing.T) {
	tests := []struct {
		name, config string
		code         uint
		want         string // the beginning; the rest is the library's
	}{
		{"missing", `{}`, CodeConfig, "prevResult: missing, CHECK needs the result of ADD"},
		{"null", `{"prevResult": null}`, CodeConfig, "prevResult: missing, CHECK needs the result of ADD"},
		{"not an object", `{"prevResult": "none"}`, CodeDecode, "prevResult: wants an object, but has a string"},
		{"unknown version", `{"prevResult": {"cniVersion": "9.0.0"}}`, CodeDecode, "prevResult: "},
		{"not an address", `{"prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "10.1.0.2"}]}}`, CodeDecode, "prevResult.ips[0]: invalid CIDR address: 10.1.0.2"},
		{"wrong kind", `{"prevResult": {"cniVersion": "1.0.0", "interfaces": [{"name": 5}]}}`, CodeDecode, "prevResult.interfaces[0].name: wants a string, but has a number"},
		{"configuration broken", `{`, CodeDecode, "network configuration: not valid JSON"},
		// null where an object belongs is no crash.
		{"null address", `{"prevResult": {"cniVersion": "1.1.0", "ips": [null]}}`, CodeDecode, "prevResult: "},
		{"null link", `{"prevResult": {"cniVersion": "1.1.0", "interfaces": [null]}}`, CodeDecode, "prevResult: "},
		{"null route", `{"prevResult": {"cniVersion": "1.1.0", "routes": [null]}}`, CodeDecode, "prevResult: "},
		{"null address, 0.4.0", `{"prevResult": {"cniVersion": "0.4.0", "ips": [null]}}`, CodeDecode, "prevResult: "},
		{"null link, 0.4.0", `{"prevResult": {"cniVersion": "0.4.0", "interfaces": [null]}}`, CodeDecode, "prevResult: "},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			defer func() {
				if r := recover(); r != nil {
					t.Errorf("panic: %v", r)
				}
			}()
			_, err := (&Request{Command: "CHECK", CNIVersion: "1.1.0", Config: []byte(tt.config)}).Prev()
			if err == nil || Code(err) != tt.code || !strings.HasPrefix(err.Error(), tt.want) {
				t.Errorf("got %v, want code %d: %s", err, tt.code, tt.want)
			}
		})
	}
}

// TestPrevResultLayer2: no address is a result, too.
func TestPrevResultLayer2(t *testing.T) {
	got, err := (&Request{CNIVersion: "0.4.0", Config: []byte(`{"prevResult": {"cniVersion": "0.4.0", "interfaces": [{"name": "eth0", "sandbox": "/run/netns/c1"}]}}`)}).Prev()
	if err != nil || len(got.Interfaces) != 1 || len(got.IPs) != 0 {
		t.Errorf("got %+v, %v", got, err)
	}
}
