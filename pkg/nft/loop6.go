package nft

import (
	"encoding/binary"
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/google/nftables"
	"github.com/google/nftables/expr"
	"github.com/google/nftables/userdata"
	"golang.org/x/sys/unix"
)

// A reply to [::1]:hostPort comes back through the bridge, and the kernel takes a
// packet for ::1 from no device but lo. A second local route for ::1 through the
// bridge lifts that for routed packets. Under br_netfilter the reply is translated
// back while it is still being bridged, and then dropped by ip6_rcv (RFC 4291,
// section 2.5.3); so it is marked there, and at the bridge's ingress handed to lo.
// Nothing else can get in: ip6_rcv drops frames for ::1 before prerouting, and a
// mark does not cross namespaces.

// replyMark is a bit that kube-proxy (0x4000, 0x8000), Calico and Cilium do not use.
const replyMark = 0x00800000

// loop6Set has the bridges whose replies to ::1 are marked.
const loop6Set = "loopback6"

// Loop6Chain marks the replies, in family inet. It comes with the first bridge: each packet
// meets it.
func Loop6Chain() Chain {
	return Chain{
		Name: loop6Set,
		Hook: &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, natPriority + 1, "type filter hook prerouting priority -98"},
		Rules: []Rule{
			rule("replies to [::1]:hostPort, which br_netfilter has translated on the bridge",
				fromLoop6(), destination(netip.MustParsePrefix("::1/128")), replyToSNAT(), setMark(replyMark)),
		},
	}
}

// fromLoop6: iifname @loopback6
func fromLoop6() part {
	return part{"iifname @" + loop6Set, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		&expr.Lookup{SourceRegister: reg1, SetName: loop6Set},
	}}
}

// replyToSNAT: ct direction reply ct status snat
func replyToSNAT() part {
	const snat = 1 << 4 // IPS_SRC_NAT, linux/netfilter/nf_conntrack_common.h
	return part{"ct direction reply ct status snat", []expr.Any{
		&expr.Ct{Key: expr.CtKeyDIRECTION, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: []byte{1}},
		&expr.Ct{Key: expr.CtKeySTATUS, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: native(snat), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
	}}
}

// setMark: meta mark set meta mark | 0x00800000
func setMark(bits uint32) part {
	return part{fmt.Sprintf("meta mark set meta mark | 0x%08x", bits), []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: native(^bits), Xor: native(bits)},
		&expr.Meta{Key: expr.MetaKeyMARK, SourceRegister: true, Register: reg1},
	}}
}

func native(n uint32) []byte { return binary.NativeEndian.AppendUint32(nil, n) }

// toLoopback: meta mark & 0x00800000 != 0 ip6 daddr ::1 @ll,0,48 set 0 dup to lo drop.
// The zeroed address makes lo take the frame as its own (eth_type_trans).
func toLoopback() []expr.Any {
	const lo = 1 // its index in every namespace (LOOPBACK_IFINDEX)
	return []expr.Any{
		&expr.Meta{Key: expr.MetaKeyMARK, Register: reg1},
		&expr.Bitwise{SourceRegister: reg1, DestRegister: reg1, Len: 4, Mask: native(replyMark), Xor: make([]byte, 4)},
		&expr.Cmp{Op: expr.CmpOpNeq, Register: reg1, Data: make([]byte, 4)},
		&expr.Meta{Key: expr.MetaKeyPROTOCOL, Register: reg1},
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: binary.BigEndian.AppendUint16(nil, unix.ETH_P_IPV6)},
		address(false, true),
		&expr.Cmp{Op: expr.CmpOpEq, Register: reg1, Data: netip.IPv6Loopback().AsSlice()},
		&expr.Immediate{Register: reg1, Data: make([]byte, 6)},
		&expr.Payload{OperationType: expr.PayloadWrite, SourceRegister: reg1, Base: expr.PayloadBaseLLHeader, Len: 6},
		&expr.Immediate{Register: reg1, Data: native(lo)},
		&expr.Dup{RegDev: reg1, IsRegDevSet: true},
		&expr.Verdict{Kind: expr.VerdictDrop},
	}
}

func (c *Conn) loop6Chain(bridge string) *nftables.Chain {
	t := &nftables.Table{Name: Table, Family: nftables.TableFamilyNetdev}
	return &nftables.Chain{
		Table: t, Name: loop6Set + "-" + bridge, Type: nftables.ChainTypeFilter,
		Hooknum: nftables.ChainHookIngress, Priority: nftables.ChainPriorityFilter, Device: bridge,
	}
}

// Loop6 makes [::1]:hostPort work through a bridge, under br_netfilter too. fresh
// says that the bridge has just been made: a chain that is left from one of the same
// name is bound to nothing.
func (c *Conn) Loop6(bridge string, fresh bool) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	ch := c.loop6Chain(bridge)
	have, err := c.nl.ListChain(ch.Table, ch.Name)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: read chain %s: %w", ch.Name, err)
	}
	mark := Element{Set: loop6Set, Key: Holder(loop6Set, bridge, "").Key, text: fmt.Sprintf("%q", bridge)}
	_, marked, err := c.Find(mark)
	if err != nil {
		return err
	}
	// GC of another network may have taken the table since it was made.
	missing, err := c.chainSteps(Change{Base: true, Chains: []Chain{Loop6Chain()}})
	if err != nil {
		return err
	}
	if have != nil && marked && len(missing) == 0 && !fresh {
		return nil
	}
	for _, step := range missing {
		if err := step(); err != nil {
			return err
		}
	}
	c.nl.AddTable(ch.Table)
	if have != nil {
		c.nl.DelChain(ch)
	}
	c.nl.AddChain(ch)
	c.nl.AddRule(&nftables.Rule{
		Table: ch.Table, Chain: ch, Exprs: toLoopback(),
		UserData: userdata.AppendString(nil, userdata.TypeComment, "replies to [::1]:hostPort go to lo"),
	})
	if err := c.nl.SetAddElements(c.sets[loop6Set], []nftables.SetElement{mark.wire()}); err != nil {
		return err
	}
	if err := c.nl.Flush(); err != nil {
		return fmt.Errorf("rules: [::1] through %s: %w", bridge, err)
	}
	return nil
}

// Loop6Text is the nft(8) commands of Loop6.
func Loop6Text(bridge string) string {
	chain := loop6Set + "-" + bridge
	return Loop6Chain().String() + "\n" + fmt.Sprintf("nft add element inet %s %s { %q }\nnft add table netdev %s\n"+
		"nft add chain netdev %s %s { type filter hook ingress device %q priority filter ; }\n"+
		"nft add rule netdev %s %s meta mark and 0x%08x != 0 ip6 daddr ::1 @ll,0,48 set 0 dup to \"lo\" drop",
		Table, loop6Set, bridge, Table, Table, chain, bridge, Table, chain, replyMark)
}

// HasLoop6 says whether Loop6 was done.
func (c *Conn) HasLoop6(bridge string) (bool, error) {
	ch := c.loop6Chain(bridge)
	have, err := c.nl.ListChain(ch.Table, ch.Name)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return false, fmt.Errorf("rules: read chain %s: %w", ch.Name, err)
	}
	_, marked, err := c.Find(Element{Set: loop6Set, Key: Holder(loop6Set, bridge, "").Key})
	return have != nil && marked, err
}

// unloop6 takes Loop6 back, and with the last bridge the table.
func (c *Conn) unloop6(bridge string) error {
	ch := c.loop6Chain(bridge)
	mark := Element{Set: loop6Set, Key: Holder(loop6Set, bridge, "").Key}
	_, marked, err := c.Find(mark)
	if err != nil {
		return err
	}
	chains, err := c.nl.ListChainsOfTableFamily(nftables.TableFamilyNetdev)
	if err != nil {
		return fmt.Errorf("rules: list chains: %w", err)
	}
	if marked {
		if err := c.nl.SetDeleteElements(c.sets[loop6Set], []nftables.SetElement{{Key: mark.Key}}); err != nil {
			return err
		}
	}
	left, found := 0, false
	for _, other := range chains {
		if other.Table.Name == Table {
			left++
			found = found || other.Name == ch.Name
		}
	}
	// Before Linux 6.12 or so the chain goes with its device, and only the table stays.
	exists, err := c.nl.ListTableOfFamily(Table, nftables.TableFamilyNetdev)
	if err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: read table netdev %s: %w", Table, err)
	}
	switch {
	case exists != nil && (left == 0 || found && left == 1):
		c.nl.DelTable(ch.Table)
	case found:
		c.nl.DelChain(ch)
	}
	if err := c.nl.Flush(); err != nil && !errors.Is(err, unix.ENOENT) {
		return fmt.Errorf("rules: [::1] through %s: take back: %w", bridge, err)
	}
	return nil
}
