package nft

import (
	"bytes"
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"
)

// CommentLimit is how long an element's comment may be, in bytes: nft prints and
// loads up to 128 (NFTNL_UDATA_COMMENT_MAXLEN), with the terminating zero.
const CommentLimit = 127

// Element is one entry of a set or map of our table.
type Element struct {
	Set     string // name of the set or map
	Key     []byte // as the kernel wants it: each field padded to 4 bytes
	Value   []byte // of a map; nil in sets and verdict maps
	Chain   string // of a verdict map: where to go; "" in other sets
	Comment string // begins with the owner's tag
	// Connections that matched since the element was added; of elements read from maps of ports.
	Connections uint64
	Counted     bool // the kernel counts; kernels before 5.7 don't
}

// Class is that of the element's set; 0 where the set is none of ours.
func (e Element) Class() Class { return setOf(e.Set).Class }

// String is the nft(8) command that adds the element.
func (e Element) String() string {
	comment := ""
	if e.Comment != "" {
		comment = fmt.Sprintf(" comment %q", e.Comment)
	}
	return command("add element %s %s %s { %s }", setOf(e.Set).Place.Family(), Table, e.Set, e.text(comment))
}

// Deletion is the nft(8) command that deletes the element.
func (e Element) Deletion() string {
	return command("delete element %s %s %s", setOf(e.Set).Place.Family(), Table, e.Name())
}

// text is the key, the comment and the value as nft prints them.
func (e Element) text(comment string) string {
	s := setOf(e.Set)
	text := fieldsText(s.Key, e.Key) + comment
	switch {
	case e.Chain != "" || s.Value == verdict:
		text += " : jump " + e.Chain
	case s.Value != "":
		text += " : " + fieldsText(s.Value, e.Value)
	}
	return text
}

// Target is the element with its value as nft prints it, without the comment.
func (e Element) Target() string { return e.Set + " { " + e.text("") + " }" }

// Name is the key as nft prints it, for messages.
func (e Element) Name() string { return e.Set + " { " + fieldsText(setOf(e.Set).Key, e.Key) + " }" }

// SameKey says whether both are the same place in the same set.
func (e Element) SameKey(o Element) bool { return e.Set == o.Set && bytes.Equal(e.Key, o.Key) }

// HostPort forwards hostIP:port to a container. An invalid or unspecified hostIP
// means every local address of to's family.
func HostPort(hostIP netip.Addr, proto uint8, port uint16, to netip.AddrPort, comment string) Element {
	var key []byte
	one := hostIP.IsValid() && !hostIP.IsUnspecified()
	if one {
		key = hostIP.AsSlice()
	}
	key = append(key, proto, 0, 0, 0)
	key = append(key, padPort(port)...)
	return Element{
		Set: portSet(one, to.Addr().Is4()), Key: key,
		Value:   append(to.Addr().AsSlice(), padPort(to.Port())...),
		Comment: comment,
	}
}

func padPort(port uint16) []byte {
	return binary.BigEndian.AppendUint16(make([]byte, 0, 4), port)[:4:4]
}

// Forward is what an element of a port map says; false for other elements.
func (e Element) Forward() (proto uint8, port uint16, to netip.AddrPort, ok bool) {
	n := len(e.Value) - 4
	if e.Class() != ClassPort || (n != 4 && n != 16) || len(e.Key) < 8 {
		return 0, 0, to, false
	}
	addr, _ := netip.AddrFromSlice(e.Value[:n]) // 4 or 16 bytes, as just checked
	key := e.Key[len(e.Key)-8:]
	to = netip.AddrPortFrom(addr, binary.BigEndian.Uint16(e.Value[n:]))
	return key[0], binary.BigEndian.Uint16(key[4:]), to, true
}

// HostIP is the host's address that a port's element is for; false where it is for all.
func (e Element) HostIP() (netip.Addr, bool) {
	if e.Class() != ClassPort || len(e.Key) < 8 {
		return netip.Addr{}, false
	}
	return netip.AddrFromSlice(e.Key[:len(e.Key)-8])
}

// Address is the container's address that is the element's key; invalid for other classes.
func (e Element) Address() netip.Addr {
	switch e.Class() {
	case ClassEgress:
		a, _ := netip.AddrFromSlice(e.Key[min(ifNameSize, len(e.Key)):])
		return a
	case ClassReply, ClassMasquerade, ClassHidden, ClassLimited, ClassIsolated:
		a, _ := netip.AddrFromSlice(e.Key)
		return a
	}
	return netip.Addr{}
}

// AtGate sends a port's packets first through chain, a GateChain; false for other elements.
func AtGate(port Element, chain string) (Element, bool) {
	gate := setOf(port.Set).Gate
	return Element{Set: gate, Key: port.Key, Chain: chain, Comment: port.Comment}, gate != ""
}

// OfContainer sends a container's packets through a chain. class says which packets: ClassReply,
// ClassMasquerade, ClassHidden, ClassLimited or ClassIsolated.
func OfContainer(class Class, a netip.Addr, chain, comment string) Element {
	return Element{Set: nameOf(class, a.Is4()), Key: a.AsSlice(), Chain: chain, Comment: comment}
}

// Sending sends what a container sends, as it comes in by the link, through a chain.
func Sending(linkName string, a netip.Addr, chain, comment string) Element {
	return Element{Set: nameOf(ClassEgress, a.Is4()), Key: append(IfName(linkName), a.AsSlice()...), Chain: chain, Comment: comment}
}

// Holder marks, in a set of class ClassMark, that the link's owner has elements: one look-up for DEL.
func Holder(mark, linkName, comment string) Element {
	return Element{Set: mark, Key: IfName(linkName), Comment: comment}
}

// AllowedMAC is a MAC address from which a checked port may send.
func AllowedMAC(linkName string, mac net.HardwareAddr, comment string) Element {
	key := append(IfName(linkName), mac...)
	return Element{Set: ofLinks(ClassMAC), Key: append(key, 0, 0), Comment: comment} // 6 bytes padded to 8
}

// OfPort sends what comes from the port through chain. class says which frames: all for ClassBound,
// whose chain is a BoundChain, those to neighbours for ClassNeighbours.
func OfPort(class Class, linkName, chain, comment string) Element {
	return Element{Set: ofLinks(class), Key: IfName(linkName), Chain: chain, Comment: comment}
}

// Service is an address of a service, with the device that has it.
func Service(a netip.Addr, device string) Element {
	return Element{Set: nameOf(ClassService, a.Is4()), Key: a.AsSlice(), Comment: device}
}

// Loopback6 is a bridge through which [::1]:hostPort works.
func Loopback6(bridge string) Element {
	return Element{Set: ofLinks(ClassLoopback6), Key: IfName(bridge)}
}

// ifNameSize is IFNAMSIZ, the key length of type ifname.
const ifNameSize = 16

// IfName is a link's name as the kernel compares it.
func IfName(name string) []byte {
	key := make([]byte, ifNameSize)
	copy(key, name)
	return key
}
