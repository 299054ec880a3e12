package doctor

import (
	"errors"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// No kernel of the tests lacks nf_tables.
func TestNoRules(t *testing.T) {
	p := &Patient{Node: &node.Node{NoRules: errors.New("the kernel has no nf_tables")}}
	found := p.Run()
	if len(found) != 1 || found[0].Check != "nf-tables" || !strings.Contains(found[0].Fix, "modprobe -a nf_tables ") || Status(found) != 2 {
		t.Errorf("found %+v", found)
	}
}

// Of a network that neither a file nor the cache describes only the name is known.
func TestNetworkWithoutConfiguration(t *testing.T) {
	p := &Patient{Node: &node.Node{}, Networks: []attachment.Network{{Name: "a"}, {Name: "b", Bridge: "b0", Attachments: 1}}}
	for _, p.check = range Checks() {
		p.check.look(p)
	}
}
