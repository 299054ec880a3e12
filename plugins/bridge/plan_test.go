package bridge

import (
	"encoding/json"
	"errors"
	"flag"
	"net"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/owned"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/publish"
	current "github.com/containernetworking/cni/pkg/types/100"
)

var update = flag.Bool("update", false, "write the golden files anew")

// bridgeMAC and a VLAN gateway's follow from the machine, so no golden file can have
// them, nor the digest of the rules that name the latter.
var (
	bridgeMAC  = regexp.MustCompile(`(ip link add cni0 address|peer name cni0.100 address|ether [sd]addr) [0-9a-f:]{17}`)
	ruleDigest = regexp.MustCompile(`(vlan-cni0.100-)[0-9a-f]{8}`)
)

// TestPlan: all that ADD makes, as commands, from a configuration, an owner and the
// IPAM plugin's answer.
func TestPlan(t *testing.T) {
	files, err := filepath.Glob("testdata/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no plans: %v", err)
	}
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".json")
		t.Run(name, func(t *testing.T) {
			text := planned(t, file).plan().String()
			base := firewall.Rules{}.String() // has a golden file of its own
			text = strings.Replace(text, base, "# table, sets and base chains", 1)
			text = strings.Replace(text, firewall.FrameRules{}.String(), "# table, sets and chains of family bridge", 1)
			text = strings.Replace(text, firewall.EgressRules{}.String(), "# sets and chains of egress", 1)
			golden(t, name+".plan", ruleDigest.ReplaceAllString(bridgeMAC.ReplaceAllString(text, "$1 $$MAC"), "$1$$DIGEST"))
		})
	}
}

func planned(t *testing.T, file string) *inputs {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var w struct {
		Config json.RawMessage `json:"config"`
		Owner  plan.Owner      `json:"owner"`
		Lease  current.Result  `json:"lease"`
	}
	if err := json.Unmarshal(data, &w); err != nil {
		t.Fatal(err)
	}
	c, err := Read(request(string(w.Config)))
	if err != nil {
		t.Fatal(err)
	}
	in := &inputs{
		conf: c, owner: w.Owner, mac: c.MAC,
		facts: link.Facts{MAC: net.HardwareAddr{2, 0, 0, 0, 0, 1}, MTU: 1500},
	}
	in.take(&w.Lease)
	if in.published, err = publish.Parse(request(string(w.Config))); err != nil {
		t.Fatal(err)
	}
	if err := errors.Join(in.fits(), in.confine(w.Lease.DNS), in.publish()); err != nil {
		t.Fatal(err)
	}
	return in
}

func golden(t *testing.T, name, got string) {
	t.Helper()
	path := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if got != string(want) {
		t.Errorf("differs from %s\ngot:\n%s\nwant:\n%s", path, got, want)
	}
}

// TestPlanOwn: DEL with nothing but the owner covers the same kinds of objects as
// any ADD, apart from those that go with the link.
func TestPlanOwn(t *testing.T) {
	var kinds []string
	for _, o := range owned.By(testOwner, nil).Plan().Objects() {
		kinds = append(kinds, typeName(o)[strings.LastIndexByte(typeName(o), '.')+1:])
	}
	if got := strings.Join(kinds, " "); got != "Veth SpoofCheck Egress Restriction Masquerade MasqueradeIPTables Ports PortsIPTables" {
		t.Errorf("got %s", got)
	}
}

// TestEarly: while an IPAM plugin asks through the link, a container whose network has egress may send to
// nobody but who gives addresses.
func TestEarly(t *testing.T) {
	in := planned(t, "testdata/egress.json")
	in.ips = nil
	early := in.early()
	if text := early.String(); !strings.Contains(text, "nothing else may be sent") || strings.Contains(text, "192.0.2.0/24") {
		t.Errorf("got %s", text)
	}
	late := planned(t, "testdata/egress.json").late()
	if text := late.String(); !strings.Contains(text, "192.0.2.0/24") || !strings.Contains(text, `neighbours { \"vethfca877ccd11\"`) && !strings.Contains(text, `neighbours { "vethfca877ccd11"`) {
		t.Errorf("got %s", text)
	}
}
