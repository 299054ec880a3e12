package snapshot_test

import (
	"fmt"
	"net"
	"net/netip"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/vishvananda/netlink"
)

// TestFlows: a flow is tracked where some rule looks at flows.
func TestFlows(t *testing.T) {
	r := newRoom(t)
	stage.Inside(r.Space, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		table := c.AddTable(&nftables.Table{Name: "track", Family: nftables.TableFamilyIPv4})
		chain := c.AddChain(&nftables.Chain{Table: table, Name: "out", Type: nftables.ChainTypeFilter, Hooknum: nftables.ChainHookOutput, Priority: nftables.ChainPriorityFilter})
		c.AddRule(&nftables.Rule{Table: table, Chain: chain, Exprs: []expr.Any{&expr.Ct{Register: 1, Key: expr.CtKeySTATE}, &expr.Counter{}}})
		return c.Flush()
	})
	ours := netip.MustParsePrefix("10.9.0.0/24")
	const want = "flow 17 10.9.0.1 to 10.9.0.1, answered by 10.9.0.1 to 10.9.0.1"
	if flows, err := snapshot.Flows(r.NS, ours); err != nil || slices.Contains(flows, want) {
		t.Fatalf("before: %q, %v", flows, err)
	}
	stage.Inside(r.Space, func() error {
		c, err := net.Dial("udp", "10.9.0.1:9")
		if err != nil {
			return err
		}
		defer c.Close()
		_, err = fmt.Fprint(c, "x")
		return err
	})
	flows, err := snapshot.Flows(r.NS, ours)
	if err != nil || !slices.Contains(flows, want) {
		t.Errorf("after: %q, %v", flows, err)
	}
	if flows, err := snapshot.Flows(r.NS, netip.MustParsePrefix("10.8.0.0/24")); err != nil || len(flows) > 0 {
		t.Errorf("of others: %q, %v", flows, err)
	}
}

func TestMounts(t *testing.T) {
	before, err := snapshot.Mounts()
	if err != nil {
		t.Fatal(err)
	}
	s, err := stage.NewSpace("mounted")
	if err != nil {
		t.Fatal(err)
	}
	during, err := snapshot.Mounts()
	if err != nil || slices.Contains(before, s.Path) || !slices.Contains(during, s.Path) {
		t.Errorf("%s in %q, %v", s.Path, during, err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	if after, err := snapshot.Mounts(); err != nil || !slices.Equal(after, before) {
		t.Errorf("after: %q, %v, want %q", after, err, before)
	}
}

// TestVlans needs a kernel whose bridges tell VLANs apart, as that of test/vm.
func TestVlans(t *testing.T) {
	r := newRoom(t)
	on := true
	err := r.Do(func() error {
		return netlink.LinkModify(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "br0"}, VlanFiltering: &on})
	})
	if err != nil {
		stage.Missing(t, "bridge VLAN filtering")
	}
	before := r.take(t)
	stage.Inside(r.Space, func() error { return netlink.BridgeVlanAdd(link("port0"), 7, false, false, false, true) })
	wantLine(t, snapshot.Diff(before, r.take(t)), "+ vlan port0 7")
}
