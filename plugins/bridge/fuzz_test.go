package bridge

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/test/limit"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// FuzzParse: whatever comes on stdin, there is no panic, each error has a code, and
// a plan can be printed.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, `{"bridge": "br0", "isDefaultGateway": true, "ipMasq": true, "mtu": 1e3, "vlan": 4094}`,
		`{"vlanTrunk": [{"minID": 1, "maxID": 4094}, {"id": 1}], "preserveDefaultVlan": true, "vlan": 1}`,
		`{"gateways": ["::ffff:10.1.0.1/120", "10.1.0.1/31"], "masqueradeExclude": ["::ffff:0:0/96"], "ipMasq": true}`,
		`{"runtimeConfig": {"mac": "0a:58:0a:58:00:02"}, "args": {"cni": {"mac": ""}}, "mtu": "auto"}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, config string) {
		defer limit.Cost(t)()
		c, err := Read(request(config))
		var coded *cni.Error
		if err != nil {
			if !errors.As(err, &coded) || coded.Code == 0 {
				t.Errorf("%s: no code: %v", config, err)
			}
			return
		}
		in := inputs{conf: c, owner: testOwner, mac: c.MAC}
		in.take(&current.Result{IPs: []*current.IPConfig{{Address: cidr("10.1.0.2/24")}, {Address: cidr("fd00::2/64")}}})
		_ = in.plan().String()
	})
}

// FuzzTolerant: GC finds a bridge's name in any configuration.
func FuzzTolerant(f *testing.F) {
	f.Add([]byte(`{"ipam": 5, "bridge": 7}`))
	f.Add([]byte(`{"bridge": {`))
	f.Fuzz(func(t *testing.T, config []byte) {
		defer limit.Cost(t)()
		if bridgeName(&cni.Request{Config: config}) == "" {
			t.Errorf("%s: no bridge", config)
		}
	})
}

// FuzzCheck: CHECK goes by whatever result it is handed, of any version.
func FuzzCheck(f *testing.F) {
	for _, v := range []string{"0.4.0", "1.0.0", "1.1.0"} {
		for _, prev := range []string{
			`{"interfaces": [{"name": "eth0", "sandbox": "/x", "mac": "0a:58:0a:01:00:02"}], "ips": [{"interface": 0, "address": "10.1.0.2/24", "gateway": "10.1.0.1"}], "routes": [{"dst": "0.0.0.0/0", "gw": "10.1.0.1"}]}`,
			`{"interfaces": [{"name": "eth0", "sandbox": "/x", "mac": "x"}], "ips": [{"interface": 7, "address": "::/0"}]}`,
			`{"ips": [{"version": "6", "address": "fd00::2/64"}], "routes": [{"dst": "::/0"}]}`, `{}`, `null`, `[`,
		} {
			f.Add(v, prev)
		}
	}
	f.Fuzz(func(t *testing.T, version, prev string) {
		defer limit.Cost(t)()
		req := request(`{"isDefaultGateway": true, "ipMasq": true}`)
		c, err := Read(req)
		if err != nil {
			t.Fatal(err)
		}
		req = request(`{"prevResult": ` + prev + `}`)
		req.CNIVersion = version
		res, err := req.Prev()
		in := inputs{conf: c, owner: testOwner}
		if err == nil {
			err = in.takePrevious(res)
		}
		if err != nil && cni.Code(err) == 0 {
			t.Errorf("no code: %v", err)
		}
		if err == nil {
			_ = in.plan().String()
		}
	})
}
