package nft

import (
	"errors"
	"fmt"
	"net"

	"github.com/google/nftables"
	"github.com/google/nftables/binaryutil"
	"github.com/google/nftables/expr"
	"golang.org/x/sys/unix"
)

// The second table of ours, in family bridge, is what frames from a container pass
// first, before the bridge looks where they go.

// ContainerGroup is the link group (IFLA_GROUP) of ports whose control frames are
// dropped: a mark that costs nothing to set and goes with the port. It reads "bp".
const ContainerGroup = 0x6270

// lastLink is the name of the last of linkChains.
const lastLink = "control"

// linkChains are the chains of family bridge that are always there.
func linkChains() []Chain { return []Chain{controlChain(first())} }

func first() *hook {
	return &hook{nftables.ChainTypeFilter, nftables.ChainHookPrerouting, -300, "type filter hook prerouting priority -300"}
}

// SpoofedChain looks at what guarded and bound ports send. It comes with the first of them:
// each frame of all ports meets it, at 1 to 2 % of the rate of a stream.
func SpoofedChain() Chain {
	return Chain{Name: "spoofed", Link: true, Hook: first(), Rules: []Rule{
		rule("frames from a guarded port with another's MAC address", fromPort("guarded"), notAllowed(), stop(expr.VerdictDrop)),
		rule("ports that send from addresses of their own only", byPort("bound")),
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
		{
			Table: t, Name: "bound", IsMap: true, KeyType: nftables.TypeIFName, KeyByteOrder: binaryutil.NativeEndian,
			DataType: nftables.TypeVerdict, Comment: "port : the addresses that it may send from",
		},
	}
}

// isLinkSet says whether the set is one of family bridge.
func isLinkSet(name string) bool {
	return name == "guarded" || name == "macs" || name == "bound"
}

// Guarded makes a port subject to the check of its frames' MAC address.
func Guarded(linkName, comment string) Element { return Holder("guarded", linkName, comment) }

// AllowedMAC is an address that a guarded port may send from.
func AllowedMAC(linkName string, mac net.HardwareAddr, comment string) Element {
	key := append(ifName(linkName), mac...)
	return Element{
		Set: "macs", Key: append(key, 0, 0), Comment: comment, // 6 bytes padded to 8
		text: `"` + linkName + `" . ` + mac.String(),
	}
}

// Bound sends what comes from the port through chain, which a BoundChain names.
func Bound(linkName, chain, comment string) Element {
	e := Holder("bound", linkName, comment)
	e.Chain = chain
	e.text += " : jump " + chain
	return e
}

// fromPort: iifname @set
func fromPort(set string) part {
	return part{"iifname @" + set, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		&expr.Lookup{SourceRegister: reg1, SetName: set},
	}}
}

// byPort: iifname vmap @set
func byPort(set string) part {
	return part{"iifname vmap @" + set, []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		&expr.Lookup{SourceRegister: reg1, DestRegister: 0, IsDestRegSet: true, SetName: set},
	}}
}

// notAllowed: iifname . ether saddr != @macs
func notAllowed() part {
	return part{"iifname . ether saddr != @macs", []expr.Any{
		&expr.Meta{Key: expr.MetaKeyIIFNAME, Register: reg1},
		sourceMAC.load(reg12),
		&expr.Lookup{SourceRegister: reg1, SetName: "macs", Invert: true},
	}}
}

// HasLink says whether the kernel has nf_tables for bridges. Reading does not tell: what a
// family that it lacks would have is not there either. So it is asked to make a table in a
// transaction that can't succeed, with a chain in a table that nobody has.
func (c *Conn) HasLink() (bool, error) { return c.hasFamily(nftables.TableFamilyBridge) }

func (c *Conn) hasFamily(family nftables.TableFamily) (bool, error) {
	c.nl.AddTable(&nftables.Table{Name: Table, Family: family})
	c.nl.AddChain(&nftables.Chain{Table: &nftables.Table{Name: Table + "-none", Family: family}, Name: "none"})
	switch err := c.nl.Flush(); {
	case err == nil || errors.Is(err, unix.ENOENT):
		return true, nil
	case Unsupported(err):
		return false, nil
	default:
		return false, fmt.Errorf("rules: ask for family bridge: %w", err)
	}
}
