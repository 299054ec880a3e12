package nft

import (
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
)

// The second table of ours, in family bridge, exists only where a network asks for
// link-layer protection.

// linkChains are the base chains of family bridge.
func linkChains() []Chain {
	return []Chain{{
		Name: "spoofed", Link: true,
		Hook: &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -300, "type filter hook prerouting priority -300"},
		Rules: []Rule{
			rule("frames from a guarded port with another's MAC address", fromGuarded(), notAllowed(), stop(expr.VerdictDrop)),
		},
	}}
}

// linkSets are the sets of family bridge.
func linkSets(t *nftables.Table) []*nftables.Set {
	return []*nftables.Set{
		{
			Table: t, Name: "guarded", KeyType: nftables.TypeIFName, KeyByteOrder: binaryutil.NativeEndian,
			Comment: "ports whose frames are checked",
		},
		{
			Table: t, Name: "macs", KeyType: nftables.MustConcatSetType(nftables.TypeIFName, nftables.TypeEtherAddr),
			Comment: "port, MAC address it may send from",
		},
	}
}

// Guarded makes a port subject to the checks of its frames.
func Guarded(linkName, comment string) Element { return Holder("guarded", linkName, comment) }

// AllowedMAC is an address that a guarded port may send from.
func AllowedMAC(linkName string, mac net.HardwareAddr, comment string) Element {
	key := make([]byte, ifNameSize, ifNameSize+8)
	copy(key, linkName)
	key = append(key, mac...)
	return Element{
		Set: "macs", Key: append(key, 0, 0), Comment: comment, // 6 bytes padded to 8
		text: `"` + linkName + `" . ` + mac.String(),
	}
}

// fromGuarded: iifname @guarded
func fromGuarded() part {
	return part{"iifname @guarded", []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		&expr.Lookup{SourceRegister: reg1, SetName: "guarded"},
	}}
}

// notAllowed: iifname . ether saddr != @macs
func notAllowed() part {
	return part{"iifname . ether saddr != @macs", []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		&expr.Payload{DestRegister: reg12, Base: expr.PayloadBaseLLHeader, Offset: 6, Len: 6},
		&expr.Lookup{SourceRegister: reg1, SetName: "macs", Invert: true},
	}}
}
