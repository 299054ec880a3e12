package netns

import "testing"

func TestDotted(t *testing.T) {
	for in, want := range map[string]string{
		"net/ipv4/ip_forward":              "net.ipv4.ip_forward",
		"net/ipv4/conf/eth0.100/rp_filter": "net.ipv4.conf.eth0/100.rp_filter",
		"":                                 "",
	} {
		if got := Dotted(in); got != want {
			t.Errorf("%s: got %s, want %s", in, got, want)
		}
	}
}
