package snapshot_test

import (
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
)

// ruleset is a table with one thing of each kind, to be leaked from.
type ruleset struct {
	*nftables.Conn
	table *nftables.Table
	chain *nftables.Chain
	ports *nftables.Set
}

func newRuleset(c *nftables.Conn) *ruleset {
	r := &ruleset{Conn: c}
	r.table = c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "mine"})
	r.chain = c.AddChain(&nftables.Chain{
		Table: r.table, Name: "post", Type: nftables.ChainTypeNAT,
		Hooknum: nftables.ChainHookPostrouting, Priority: nftables.ChainPriorityNATSource,
	})
	r.ports = &nftables.Set{
		Table: r.table, Name: "anyport4", IsMap: true,
		KeyType:  nftables.MustConcatSetType(nftables.TypeInetProto, nftables.TypeInetService),
		DataType: nftables.MustConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService),
	}
	return r
}

func (r *ruleset) rule(comment string) *nftables.Rule {
	return &nftables.Rule{
		Table: r.table, Chain: r.chain,
		Exprs:    []expr.Any{&expr.Counter{}, &expr.Verdict{Kind: expr.VerdictAccept}},
		UserData: userdata.AppendString(nil, userdata.TypeComment, comment),
	}
}

func element(port uint16, comment string) nftables.SetElement {
	return nftables.SetElement{
		Key:     append([]byte{6, 0, 0, 0}, append(binaryutil.BigEndian.PutUint16(port), 0, 0)...),
		Val:     append([]byte{10, 9, 0, 2}, append(binaryutil.BigEndian.PutUint16(80), 0, 0)...),
		Comment: comment,
	}
}

// change runs build against the namespace's ruleset and commits it.
func (r room) change(t *testing.T, build func(*ruleset) error) {
	t.Helper()
	stage.Inside(r.Space, func() error {
		c, err := nftables.New()
		if err != nil {
			return err
		}
		if err := build(newRuleset(c)); err != nil {
			return err
		}
		return c.Flush()
	})
}

func TestDiffSeesNftLeaks(t *testing.T) {
	for name, leak := range map[string]struct {
		do   func(*ruleset) error
		want string
	}{
		"table": {func(r *ruleset) error {
			r.AddTable(&nftables.Table{Family: nftables.TableFamilyIPv4, Name: "left"})
			return nil
		}, "+ nft table ip left"},
		"chain": {func(r *ruleset) error {
			r.AddChain(&nftables.Chain{Table: r.table, Name: "left"})
			return nil
		}, "+ nft chain inet mine left"},
		"rule": {func(r *ruleset) error {
			r.AddRule(r.rule("second"))
			return nil
		}, `+ nft chain inet mine post: rule Counter{"Bytes":0,"Packets":0} Verdict{"Kind":1,"Chain":""} comment "second"`},
		"set": {func(r *ruleset) error {
			return r.AddSet(&nftables.Set{Table: r.table, Name: "left", KeyType: nftables.TypeIPAddr}, nil)
		}, "+ nft set inet mine left: set type ipv4_addr"},
		"element": {func(r *ruleset) error {
			return r.SetAddElements(r.ports, []nftables.SetElement{element(8081, "c2/eth0")})
		}, `+ nft set inet mine anyport4: element tcp . 8081 : 10.9.0.2 . 80 comment "c2/eth0"`},
		"lost element": {func(r *ruleset) error {
			return r.SetDeleteElements(r.ports, []nftables.SetElement{element(8080, "")})
		}, `- nft set inet mine anyport4: element tcp . 8080 : 10.9.0.2 . 80 comment "c1/eth0"`},
		"verdict": {func(r *ruleset) error {
			jumps := &nftables.Set{Table: r.table, Name: "left", IsMap: true, KeyType: nftables.TypeIPAddr, DataType: nftables.TypeVerdict}
			r.AddChain(&nftables.Chain{Table: r.table, Name: "masq"})
			return r.AddSet(jumps, []nftables.SetElement{{
				Key: []byte{10, 9, 0, 2}, VerdictData: &expr.Verdict{Kind: expr.VerdictJump, Chain: "masq"},
			}})
		}, "+ nft set inet mine left: element 10.9.0.2 : jump masq"},
		"object": {func(r *ruleset) error {
			r.AddObj(&nftables.CounterObj{Table: r.table, Name: "left"})
			return nil
		}, "+ nft object inet mine left"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRoom(t)
			r.change(t, func(s *ruleset) error {
				s.AddRule(s.rule("first"))
				return s.AddSet(s.ports, []nftables.SetElement{element(8080, "c1/eth0")})
			})
			before := r.take(t)
			r.change(t, leak.do)
			wantLine(t, snapshot.Diff(before, r.take(t)), leak.want)
		})
	}
}
