package nft

import (
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/test/limit"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// FuzzElement: whatever keys and values somebody has put into a set of one of our names,
// they can be printed, and nothing but a port map's element is a port.
func FuzzElement(f *testing.F) {
	verdict := []byte{8, 0, 1, 0, 255, 255, 255, 253, 9, 0, 2, 0, 'm', 'a', 's', 'q', 0}
	for _, set := range []string{"anyport4", "hostport6", "snat4", "masquerade6", "published", "macs", "loopback6", ""} {
		for _, key := range [][]byte{nil, {1}, make([]byte, 4), make([]byte, 8), make([]byte, 16), make([]byte, 24)} {
			f.Add(set, key, verdict, true, "30629ef8-1b753752339 2 lan/c1/eth0")
			f.Add(set, key, make([]byte, 8), false, "")
			f.Add(set, key, verdict[:7], true, "x")
		}
	}
	f.Fuzz(func(t *testing.T, name string, key, value []byte, verdict bool, comment string) {
		defer limit.Cost(t)()
		set := &nftables.Set{Name: name, IsMap: true}
		if verdict {
			set.DataType = nftables.TypeVerdict
		}
		e := fromWire(set, nftables.SetElement{Key: key, Val: value, Comment: comment})
		if !strings.HasPrefix(e.Name(), name+" { ") || e.Target() == "" || e.String() == "" {
			t.Errorf("prints %q", e.Name())
		}
		if _, _, to, ok := e.Forward(); ok && !to.Addr().IsValid() {
			t.Errorf("forwards to %s", to)
		}
	})
}

// ruleAttrs is a rule as the kernel lists it.
func ruleAttrs(f testing.TB, ch Chain, r Rule) []byte {
	f.Helper()
	var list []byte
	for _, e := range r.exprs {
		data, err := expr.Marshal(unix.NFPROTO_INET, e)
		if err != nil {
			f.Fatal(err)
		}
		list = netlink.AppendAttr(list, unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, data...)
	}
	b := netlink.AppendName(nameAttr(unix.NFTA_RULE_TABLE, Table), unix.NFTA_RULE_CHAIN, ch.Name)
	b = netlink.AppendAttr(b, unix.NLA_F_NESTED|unix.NFTA_RULE_EXPRESSIONS, list...)
	return netlink.AppendAttr(b, unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, r.Comment)...)
}

// TestParseRule: each of our rules is found in what the kernel lists of it.
func TestParseRule(t *testing.T) {
	for _, ch := range append(baseChains(), Frames().Chains()...) {
		for _, r := range ch.Rules {
			found := make(map[string][]kernelRule)
			err := parseRule(ruleAttrs(t, ch, r), unix.NFPROTO_INET, found)
			if bad := compareRules("x", []Rule{r}, found[ch.Name]); err != nil || len(bad) > 0 {
				t.Errorf("%q, %v", bad, err)
			}
		}
	}
}

// FuzzRules: whatever the kernel's list of rules looks like, reading it ends.
func FuzzRules(f *testing.F) {
	for _, ch := range append(baseChains(), Frames().Chains()...) {
		for _, r := range ch.Rules {
			f.Add(ruleAttrs(f, ch, r))
		}
	}
	f.Fuzz(func(t *testing.T, b []byte) {
		defer limit.Cost(t)()
		found := make(map[string][]kernelRule)
		_ = parseRule(b, unix.NFPROTO_INET, found)
		for _, ch := range baseChains() {
			compareRules(ch.Name, ch.Rules, found[ch.Name])
		}
	})
}
