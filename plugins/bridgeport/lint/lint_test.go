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

// A list's plugins may stand in files of a folder beside it, as libcni reads them.
func TestDropIns(t *testing.T) {
	dir := t.TempDir()
	write := func(name, text string) string {
		t.Helper()
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return text
	}
	texts := func(name, data string) (text string) {
		for _, p := range File(filepath.Join(dir, name), []byte(data)) {
			text += strings.TrimPrefix(p.String(), dir+"/") + "\n"
		}
		return text
	}
	bridge := `{"type": "bridge", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": {"type": "host-local", "subnet": "10.1.0.0/24"}}`
	list := write("10-x.conflist", `{"cniVersion": "1.1.0", "name": "x"}`)
	write("x/10-bridge.conf", bridge)
	write("x/20-portmap.conf", `{"type": "portmap", "capabilities": {"portMappings": true}}`)
	write("x/30-not.json", `{`)
	if got := texts("10-x.conflist", list); got != "" {
		t.Errorf("a valid list: %s", got)
	}
	if got := texts("20-y.conflist", `{"cniVersion": "1.1.0", "name": "y", "loadOnlyInlinedPlugins": true}`); !strings.HasPrefix(got, "20-y.conflist:1:1: error: plugins: missing") {
		t.Errorf("own plugins only: %s", got)
	}
	if got := texts("10-x.conflist", `{"cniVersion": "1.1.0", "name": "x", "loadOnlyInlinedPlugins": true, "plugins": [`+strings.Replace(bridge, `"hairpinMode": true, `, "", 1)+`]}`); got != "" {
		t.Errorf("the folder's portmap counts: %s", got)
	}
	write("x/20-portmap.conf", "{\"type\": \"portmap\",\n \"markMasqBit\": 99}")
	write("x/30-cut.conf", `{`)
	write("x/40-none.conf", `{}`)
	got := texts("10-x.conflist", list)
	for _, want := range []string{
		"x/20-portmap.conf:1:10: warning: portmap without", "x/20-portmap.conf:2:17: error: markMasqBit: ",
		"x/30-cut.conf:1:2: error: not valid JSON", "x/40-none.conf:1:1: error: type: missing",
	} {
		if !strings.Contains(got, want) {
			t.Errorf("wants %q:\n%s", want, got)
		}
	}
}
