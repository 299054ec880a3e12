package publish

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/limit"
)

// FuzzParse: whatever comes on stdin, there is no panic and each error has a code.
func FuzzParse(f *testing.F) {
	for _, seed := range []string{
		``, `{}`, mappings(`{"hostPort": 80, "containerPort": 8080, "hostIP": "::ffff:127.0.0.1"}, null`),
		`{"backend": null, "snat": null, "markMasqBit": null, "conditionsV4": [null]}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, config string) {
		defer limit.Cost(t)()
		c, err := parse(request(config))
		var coded *cni.Error
		if err != nil {
			if !errors.As(err, &coded) || coded.Code == 0 {
				t.Errorf("%s: no code: %v", config, err)
			}
			return
		}
		if _, err := c.ports(prefixes("10.1.0.2/24 fd00::2/64")); err != nil {
			t.Errorf("%s: a container with both families can't be reached: %v", config, err)
		}
	})
}

// FuzzTolerant: DEL goes on with any configuration, prevResult included.
func FuzzTolerant(f *testing.F) {
	for _, seed := range []string{
		mappings(`{"hostPort": 80, "containerPort": 8080}, {"hostPort": {}}`),
		`{"prevResult": {"cniVersion": "1.1.0", "interfaces": [{"name": "eth0"}], "ips": [{"interface": 0, "address": "10.1.0.2/24"}]}}`,
		`{"prevResult": {"cniVersion": "1.1.0", "interfaces": [null], "ips": [{"interface": 0, "address": "10.1.0.2/24"}]}}`,
		`{"prevResult": {"cniVersion": "1.1.0", "ips": [null]}}`,
		`{"prevResult": {"cniVersion": "0.4.0", "ips": [null]}}`,
		`{"prevResult": {"cniVersion": "0.2.0", "ip4": null}}`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, config string) {
		defer limit.Cost(t)()
		req := request(config)
		in := inputs{conf: &Conf{SNAT: true, Mappings: tolerantMappings(req)}, owner: plan.OwnerOf(req), addrs: req.Tolerant().Addrs}
		if prev, err := req.Prev(); err == nil {
			cni.Addresses(prev, req.IfName)
		}
		in.ports, _ = in.conf.ports(in.addrs)
		_ = in.plan().String()
	})
}
