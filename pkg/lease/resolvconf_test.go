package lease

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
)

func TestParseResolvConf(t *testing.T) {
	path := filepath.Join(t.TempDir(), "resolv.conf")
	_, err := Parse(request(`{"ipam": {"subnet": "10.1.0.0/24", "resolvConf": "` + path + `"}}`))
	wantError(t, err, cni.CodeIO, "ipam.resolvConf: open "+path+": no such file or directory")
	if err := os.WriteFile(path, []byte("nameserver 10.1.0.1\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	c, err := Parse(request(`{"ipam": {"subnet": "10.1.0.0/24", "resolvConf": "` + path + `"}}`))
	if err != nil || !slices.Equal(c.DNS.Nameservers, []string{"10.1.0.1"}) {
		t.Errorf("got %+v, %v", c, err)
	}
	if c, err = Parse(request(`{"ipam": {"subnet": "10.1.0.0/24", "resolvConf": "/dev/null"}}`)); err != nil || !c.DNS.IsEmpty() {
		t.Errorf("got %+v, %v", c, err)
	}
}

func TestResolvConf(t *testing.T) {
	tests := []struct {
		name, in string
		want     types.DNS
	}{
		{"empty", "", types.DNS{}},
		{"usual", "nameserver 10.1.0.1\nnameserver fd00::1\nsearch a.b c\noptions ndots:5 timeout:1\n", types.DNS{
			Nameservers: []string{"10.1.0.1", "fd00::1"}, Search: []string{"a.b", "c"}, Options: []string{"ndots:5", "timeout:1"},
		}},
		{"comments", "# nameserver 1.1.1.1\n; search x\nnameserver 10.1.0.1 # mine\n", types.DNS{Nameservers: []string{"10.1.0.1"}}},
		{"the last search counts", "search a\nsearch b\n", types.DNS{Search: []string{"b"}}},
		{"domain", "domain a\ndomain b\n", types.DNS{Domain: "b"}},
		{"options add up", "options a\noptions b\n", types.DNS{Options: []string{"a", "b"}}},
		{"tabs, CR, no newline at the end", "nameserver\t10.1.0.1\r\nsearch\ta", types.DNS{Nameservers: []string{"10.1.0.1"}, Search: []string{"a"}}},
		{"no value, unknown word", "nameserver\nsortlist 10.0.0.0\n", types.DNS{}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprintf("%q", parseResolvConf(tt.in)); got != fmt.Sprintf("%q", tt.want) {
				t.Errorf("got  %s\nwant %q", got, tt.want)
			}
		})
	}
}
