package nft

import (
	"encoding/binary"
	"strings"
	"testing"

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

// ruleMessage is a rule as the kernel lists it.
func ruleMessage(f testing.TB, ch Chain, r Rule, flags uint16) []byte {
	f.Helper()
	var list []byte
	for _, e := range r.exprs {
		data, err := expr.Marshal(unix.NFPROTO_INET, e)
		if err != nil {
			f.Fatal(err)
		}
		list = appendAttr(list, unix.NLA_F_NESTED|unix.NFTA_LIST_ELEM, data)
	}
	b := appendName(appendName(nil, unix.NFTA_RULE_TABLE, Table), unix.NFTA_RULE_CHAIN, ch.Name)
	b = appendAttr(b, unix.NLA_F_NESTED|unix.NFTA_RULE_EXPRESSIONS, list)
	b = appendAttr(b, unix.NFTA_RULE_USERDATA, userdata.AppendString(nil, userdata.TypeComment, r.Comment))
	m := appendMessage(nil, unix.NFT_MSG_NEWRULE, nftables.TableFamilyINet, 1, b)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_MULTI|flags)
	return m
}

// doneMessage ends a list.
func doneMessage(errno unix.Errno, flags uint16) []byte {
	m := appendMessage(nil, 0, 0, 1, nil)
	binary.NativeEndian.PutUint16(m[4:], unix.NLMSG_DONE)
	binary.NativeEndian.PutUint16(m[6:], unix.NLM_F_MULTI|flags)
	binary.NativeEndian.PutUint32(m[unix.SizeofNlMsghdr:], uint32(-int32(errno)))
	return m
}

// FuzzRules: whatever the kernel's list of rules looks like, reading it ends, and our own
// rules are found in it.
func FuzzRules(f *testing.F) {
	var whole []byte
	for _, ch := range append(baseChains(), linkChains()...) {
		for _, r := range ch.Rules {
			m := ruleMessage(f, ch, r, 0)
			f.Add(m)
			whole = append(whole, m...)
		}
	}
	f.Add(whole)
	f.Add(append(whole, doneMessage(0, 0)...))
	f.Add(append(whole, doneMessage(unix.EPERM, unix.NLM_F_DUMP_INTR)...))
	f.Fuzz(func(t *testing.T, b []byte) {
		defer limit.Cost(t)()
		if len(b) > rulesSize {
			return
		}
		found := make(map[string][]kernelRule)
		_, _ = eachMessage(b, func(payload []byte) error { return parseRule(payload, unix.NFPROTO_INET, found) })
		for _, ch := range baseChains() {
			compareRules(ch.Name, ch.Rules, found[ch.Name])
		}
	})
}
