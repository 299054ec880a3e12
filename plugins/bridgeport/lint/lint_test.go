package lint

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// The samples are what users copy.
func TestSamples(t *testing.T) {
	files, err := filepath.Glob("../../../conf/*/*.conflist")
	if err != nil || len(files) < 7 {
		t.Fatalf("%v %v", files, err)
	}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range File(file, data) {
			t.Error(p)
		}
	}
}

func TestAddresses(t *testing.T) {
	for _, tt := range []struct{ ipam, want string }{
		{`"ranges": [[{"subnet": "10.1.0.0/24"}]]`, ""},
		{`"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.0"}]]`, "rangeStart: 10.1.0.0 is the network's own"},
		{`"ranges": [[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.255"}]]`, "rangeEnd: 10.1.0.255 is the subnet's broadcast"},
		{`"ranges": [[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.255"}]]`, "gateway: 10.1.0.255 is the subnet's broadcast"},
		{`"subnet": "10.1.0.0/24", "gateway": "10.1.0.0"`, "gateway: 10.1.0.0 is the network's own"},
		{`"ranges": [[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64", "gateway": "fd00::"}]]`, "gateway: fd00:: is the address of all routers"},
		{`"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.1", "rangeEnd": "10.1.0.1"}]]`, "no address for a container"},
		{`"ranges": [[{"subnet": "10.1.0.0/24", "rangeStart": "10.1.0.9", "rangeEnd": "10.1.0.9", "gateway": "10.1.0.9"}]]`, "no address for a container"},
		{`"subnet": "10.1.0.0/30"`, "room for 1 containers"},
		{`"subnet": "10.1.0.0/32"`, "too small"},
		{`"subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "0.0.0.0/0"}]`, "0.0.0.0/0 stands here twice"},
		{`"subnet": "10.1.0.0/24", "routes": [{"dst": "0.0.0.0/0"}, {"dst": "10.9.0.0/16"}]`, ""},
	} {
		text := fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "x", "plugins": [{"type": "bridge", "isDefaultGateway": true, "ipMasq": true, "ipam": {"type": "host-local", %s}}]}`, tt.ipam)
		list := File("x.conflist", []byte(text))
		if tt.want == "" && len(list) > 0 || tt.want != "" && (len(list) != 1 || !strings.Contains(list[0].Text, tt.want)) {
			t.Errorf("%s: want %q, got %v", tt.ipam, tt.want, list)
		}
	}
}

func TestRouterOfTheLAN(t *testing.T) {
	for _, gateway := range []string{"isDefaultGateway", "isGateway"} {
		text := fmt.Sprintf(`{"cniVersion": "1.1.0", "name": "x", "plugins": [{"type": "bridge", %q: true, "ipam": {"type": "dhcp"}}]}`, gateway)
		if list := File("x.conflist", []byte(text)); !strings.Contains(fmt.Sprint(list), "the router that the DHCP server names") {
			t.Errorf("%s: %v", gateway, list)
		}
	}
	text := `{"cniVersion": "1.1.0", "name": "x", "plugins": [{"type": "bridge", "ipam": {"type": "dhcp"}}]}`
	if list := File("x.conflist", []byte(text)); len(list) > 0 {
		t.Error(list)
	}
}
