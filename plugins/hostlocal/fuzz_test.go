package hostlocal

import (
	"errors"
	"path/filepath"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/test/limit"
)

// FuzzParse: whatever comes on stdin, there is no panic, each error has a code, and
// what is accepted can be handed out.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"ipam": {"ranges": [[{"subnet": "10.1.0.0/30"}], [{"subnet": "fd00::/126"}]]}}`,
		`{"ipam": {"subnet": "255.255.255.252/30", "rangeEnd": "255.255.255.255"}}`,
		`{"ipam": {"subnet": "::ffff:10.1.0.0/112", "gateway": "10.1.0.1"}}`,
		`{"ipam": {"subnet": "10.1.0.0/24", "routes": [{"dst": "::/0", "gw": "::1", "table": null, "scope": 1e1}]}}`,
		`{"ipam": {"subnet": "10.1.0.0/24"}, "runtimeConfig": {"ips": ["10.1.0.2/99"], "ipRanges": [null]}, "args": {"cni": null}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, config string) {
		defer limit.Cost(t)()
		c, err := Parse(request(config))
		var coded *cni.Error
		if err != nil {
			if !errors.As(err, &coded) || coded.Code == 0 {
				t.Errorf("%s: no code: %v", config, err)
			}
			return
		}
		for _, set := range c.Sets {
			for a, r := range set.after(set[0].End) {
				if !r.Subnet.Contains(a) || set.isGateway(a) {
					t.Errorf("%s: hands out %s of %s", config, a, set)
				}
				break
			}
		}
	})
}

// FuzzLease: a lease that we write reads back; any other file is no panic.
func FuzzLease(f *testing.F) {
	f.Add("c1", "eth0")
	f.Add("", "")
	f.Add("a\r\nb", "\n")
	f.Add("c1", "eth0\u2003") // the kernel takes it for a name: only ASCII is space to it
	f.Fuzz(func(t *testing.T, id, ifName string) {
		defer limit.Cost(t)()
		key := parseLease(id + "\r\n" + ifName)
		if cni.ValidName(id) && cni.CheckLinkName(ifName) == nil && key != (Key{id, ifName}) {
			t.Errorf("wrote %q %q, read %q", id, ifName, key)
		}
	})
}

// FuzzTolerant: DEL and GC find a usable dataDir in anything.
func FuzzTolerant(f *testing.F) {
	f.Add([]byte(`{"ipam": {"dataDir": "/tmp/x"}, "cni.dev/valid-attachments": []}`))
	f.Add([]byte(`{"ipam": "no", "cni.dev/valid-attachments": null}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, config []byte) {
		defer limit.Cost(t)()
		if dir := dataDirOf(&cni.Request{Config: config}); !filepath.IsAbs(dir) {
			t.Errorf("%s: dataDir %q", config, dir)
		}
	})
}
