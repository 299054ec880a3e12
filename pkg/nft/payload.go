package nft

import (
	"encoding/binary"
	"fmt"
	"net"
	"net/netip"

	"github.com/google/nftables/expr"
)

// Payload is a place in a frame, named as nft(8) names it.
type Payload struct {
	text   string
	base   expr.PayloadBase
	offset uint32 // bytes
	length uint32 // bytes
}

// Fields of struct ethhdr, arphdr (with Ethernet and IPv4 addresses), iphdr, ipv6hdr,
// udphdr, icmphdr, and of neighbour discovery messages (RFC 4861, section 4).
var (
	EtherDaddr    = Payload{"ether daddr", expr.PayloadBaseLLHeader, 0, 6}
	EtherSaddr    = Payload{"ether saddr", expr.PayloadBaseLLHeader, 6, 6}
	EtherType     = Payload{"ether type", expr.PayloadBaseLLHeader, 12, 2}
	ARPKind       = Payload{"@nh,0,48", expr.PayloadBaseNetworkHeader, 0, 6}
	ARPSaddrEther = Payload{"arp saddr ether", expr.PayloadBaseNetworkHeader, 8, 6}
	ARPSaddrIP    = Payload{"arp saddr ip", expr.PayloadBaseNetworkHeader, 14, 4}
	IPSaddr       = Payload{"ip saddr", expr.PayloadBaseNetworkHeader, 12, 4}
	IP6Length     = Payload{"ip6 length", expr.PayloadBaseNetworkHeader, 4, 2}
	IP6Nexthdr    = Payload{"ip6 nexthdr", expr.PayloadBaseNetworkHeader, 6, 1}
	IP6Saddr      = Payload{"ip6 saddr", expr.PayloadBaseNetworkHeader, 8, 16}
	BothPorts     = Payload{"@th,0,32", expr.PayloadBaseTransportHeader, 0, 4}
	ICMPType      = Payload{"@th,0,8", expr.PayloadBaseTransportHeader, 0, 1}
	NDTarget      = Payload{"@th,64,128", expr.PayloadBaseTransportHeader, 8, 16}
	NDOption      = Payload{"@th,192,16", expr.PayloadBaseTransportHeader, 24, 2}
	NDOptionMAC   = Payload{"@th,208,48", expr.PayloadBaseTransportHeader, 26, 6}
)

func (f Payload) load(register uint32) *expr.Payload {
	return &expr.Payload{DestRegister: register, Base: f.base, Offset: f.offset, Len: f.length}
}

func (f Payload) compared(value []byte, text string) Part {
	return Part{f.text, text, []expr.Any{f.load(reg1), equals(value)}}
}

// Is: ether type 0x0806
func (f Payload) Is(value ...byte) Part { return f.compared(value, fmt.Sprintf("0x%x", value)) }

// IsAddress: ip saddr 10.88.0.2. nft knows no address in a raw field.
func (f Payload) IsAddress(a netip.Addr) Part {
	if f.text[0] == '@' {
		return f.Is(a.AsSlice()...)
	}
	return f.compared(a.AsSlice(), a.String())
}

// IsMAC: ether saddr 0a:58:0a:58:00:02
func (f Payload) IsMAC(mac net.HardwareAddr) Part { return f.compared(mac, mac.String()) }

// IsNumber: ip6 nexthdr 58
func (f Payload) IsNumber(n uint16) Part {
	return f.compared(binary.BigEndian.AppendUint16(nil, n)[2-f.length:], fmt.Sprint(n))
}

// Above: ip6 length > 32
func (f Payload) Above(n uint16) Part {
	p := f.IsNumber(n)
	p.last().Op = expr.CmpOpGt
	return p
}

// Within: ether daddr & ff:ff:ff:ff:ff:f0 == 01:80:c2:00:00:00
func (f Payload) Within(mask, value net.HardwareAddr) Part {
	return Part{fmt.Sprintf("%s & %s ==", f.text, mask), value.String(), []expr.Any{f.load(reg1), masked(mask), equals(value)}}
}
