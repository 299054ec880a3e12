package main

import (
	"encoding/json"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }

const sampleTemplate = "../../conf/containerd/bridgeport.conflist.tmpl"

// The manifest has to carry the template that containerd's users get.
func TestManifestHoldsTheTemplate(t *testing.T) {
	tmpl, err := os.ReadFile(sampleTemplate)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{"../../conf/kubernetes/bridgeport.yaml"} {
		manifest, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		indented := "    " + strings.ReplaceAll(strings.TrimRight(string(tmpl), "\n"), "\n", "\n    ")
		if !strings.Contains(string(manifest), indented) {
			t.Errorf("%s: its conflist.tmpl is not %s", path, sampleTemplate)
		}
	}
}

func TestWriteConflist(t *testing.T) {
	path := filepath.Join(t.TempDir(), "net.d", "10-bridgeport.conflist")
	for _, cidrs := range [][]string{{"10.244.3.0/24"}, {"10.244.3.0/24", "fd00:10:244:3::/64"}} {
		if err := writeConflist(sampleTemplate, path, cidrs); err != nil {
			t.Fatal(err)
		}
		text, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		var list struct {
			Plugins []struct {
				IPAM struct{ Ranges [][]struct{ Subnet string } }
			}
		}
		if err := json.Unmarshal(text, &list); err != nil {
			t.Fatal(err)
		}
		var got []string
		for _, set := range list.Plugins[0].IPAM.Ranges {
			got = append(got, set[0].Subnet)
		}
		if !slices.Equal(got, cidrs) {
			t.Errorf("ranges %v, want %v", got, cidrs)
		}
		before, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		if err := writeConflist(sampleTemplate, path, cidrs); err != nil {
			t.Fatal(err)
		}
		if after, err := os.Stat(path); err != nil || !os.SameFile(before, after) {
			t.Errorf("written again without a change (%v)", err)
		}
	}
	entries, err := os.ReadDir(filepath.Dir(path))
	if err != nil || len(entries) != 1 {
		t.Errorf("beside the list: %v, %v", entries, err)
	}
	if err := writeConflist(sampleTemplate, path, nil); err == nil {
		t.Error("a node without podCIDRs got a list")
	}
	bad := filepath.Join(t.TempDir(), "bad")
	if err := os.WriteFile(bad, []byte(`{"name": {{.PodCIDR}}}`), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := writeConflist(bad, path, []string{"10.244.3.0/24"}); err == nil || !strings.Contains(err.Error(), "does not give JSON") {
		t.Errorf("a template that gives no JSON: %v", err)
	}
}

// made is a node with podCIDRs and InternalIPs.
func made(name string, cidrs []string, addresses ...string) *corev1.Node {
	n := &corev1.Node{ObjectMeta: metav1.ObjectMeta{Name: name}, Spec: corev1.NodeSpec{PodCIDRs: cidrs}}
	n.Status.Addresses = []corev1.NodeAddress{{Type: corev1.NodeHostName, Address: name}}
	for _, a := range addresses {
		n.Status.Addresses = append(n.Status.Addresses, corev1.NodeAddress{Type: corev1.NodeInternalIP, Address: a})
	}
	return n
}

func TestHops(t *testing.T) {
	got, err := hops([]*corev1.Node{
		made("a", []string{"10.244.0.0/24", "fd00:10:244::/64"}, "192.0.2.1", "2001:db8::1"),
		made("b", []string{"10.244.1.0/24", "fd00:10:244:1::/64"}, "192.0.2.2"),
		made("new", nil),
	})
	want := []hop{
		{netip.MustParsePrefix("10.244.0.0/24"), netip.MustParseAddr("192.0.2.1"), "a"},
		{netip.MustParsePrefix("fd00:10:244::/64"), netip.MustParseAddr("2001:db8::1"), "a"},
		{netip.MustParsePrefix("10.244.1.0/24"), netip.MustParseAddr("192.0.2.2"), "b"},
	}
	if !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if err == nil || err.Error() != "node b: no InternalIP of the family of fd00:10:244:1::/64" {
		t.Errorf("error: %v", err)
	}
}

// What the manifest excludes from masquerade are the pods of the cluster that kind makes.
func TestKindSubnets(t *testing.T) {
	cluster, err := os.ReadFile("../../conf/kind/cluster.yaml")
	if err != nil {
		t.Fatal(err)
	}
	_, rest, found := strings.Cut(string(cluster), `podSubnet: "`)
	subnets, _, _ := strings.Cut(rest, `"`)
	if !found || !strings.Contains(string(cluster), "disableDefaultCNI: true") {
		t.Fatal("conf/kind/cluster.yaml: no podSubnet, or kind's own network is on")
	}
	tmpl, err := os.ReadFile(sampleTemplate)
	if err != nil {
		t.Fatal(err)
	}
	want := `"masqueradeExclude": ["` + strings.ReplaceAll(subnets, ",", `", "`) + `"]`
	if !strings.Contains(string(tmpl), want) {
		t.Errorf("%s lacks %s", sampleTemplate, want)
	}
}
