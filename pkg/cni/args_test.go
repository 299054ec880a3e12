package cni

import (
	"maps"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
)

func TestParseArgs(t *testing.T) {
	tests := []struct {
		name, in string
		want     Args
		err      string
	}{
		{"empty", "", Args{}, ""},
		{"known", "IP=10.1.0.2;MAC=0a:58:0a:58:00:02", Args{"IP": "10.1.0.2", "MAC": "0a:58:0a:58:00:02"}, ""},
		{"containerd", "K8S_POD_INFRA_CONTAINER_ID=x;IgnoreUnknown=1;K8S_POD_NAMESPACE=n;K8S_POD_NAME=p;K8S_POD_UID=u;OTHER=o", Args{
			"K8S_POD_INFRA_CONTAINER_ID": "x", "IgnoreUnknown": "1", "K8S_POD_NAMESPACE": "n", "K8S_POD_NAME": "p", "K8S_POD_UID": "u", "OTHER": "o",
		}, ""},
		{"ignored at the end", "A=1;IgnoreUnknown=TRUE", Args{"A": "1", "IgnoreUnknown": "TRUE"}, ""},
		{"not ignored", "A=1;IgnoreUnknown=0", Args{"A": "1", "IgnoreUnknown": "0"}, `unknown key "A": remove it or add IgnoreUnknown=1`},
		{"unknown", "A=1", Args{"A": "1"}, `unknown key "A": remove it or add IgnoreUnknown=1`},
		{"case counts", "ip=10.1.0.2", Args{"ip": "10.1.0.2"}, `unknown key "ip": remove it or add IgnoreUnknown=1`},
		{"value with =", "IP=a=b", Args{"IP": "a=b"}, ""},
		{"empty value", "IP=", Args{"IP": ""}, ""},
		{"last wins", "IP=1;IP=2", Args{"IP": "2"}, ""},
		{"no =", "IP", Args{}, `"IP" is not of the form KEY=VALUE`},
		{"no key", "=1", Args{}, `"=1" is not of the form KEY=VALUE`},
		{"; at the end", "IP=1;", Args{"IP": "1"}, `"" is not of the form KEY=VALUE`},
		{"the rest is kept", "x;MAC=1;y", Args{"MAC": "1"}, `"x" is not of the form KEY=VALUE`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := parseArgs(tt.in)
			text := ""
			if err != nil {
				text = err.Error()
			}
			if !maps.Equal(got, tt.want) || text != tt.err {
				t.Errorf("got %v, %q\nwant %v, %q", got, text, tt.want, tt.err)
			}
		})
	}
}

func TestPod(t *testing.T) {
	for want, args := range map[string]Args{
		"":    {"K8S_POD_NAMESPACE": "a"},
		"a/b": {"K8S_POD_NAMESPACE": "a", "K8S_POD_NAME": "b"},
	} {
		if got := args.Pod(); got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	}
}

func FuzzParseArgs(f *testing.F) {
	for _, seed := range []string{"", "IgnoreUnknown=1;A=b", "A", "=;=", ";;", "IP=::1;IP=\x00"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, in string) {
		defer limit.Cost(t)()
		args, err := parseArgs(in)
		if args == nil {
			t.Errorf("%q: no map, but callers look into it even after %v", in, err)
		}
		if _, ok := args[""]; ok {
			t.Errorf("%q: an empty key", in)
		}
	})
}
