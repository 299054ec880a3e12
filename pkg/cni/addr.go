package cni

import (
	"net"
	"net/netip"

	current "github.com/containernetworking/cni/pkg/types/100"
)

// Addr converts the library's address. It is invalid for nil and for anything that is no
// address. IPv4 in IPv6 becomes IPv4.
func Addr(ip net.IP) netip.Addr {
	a, _ := netip.AddrFromSlice(ip)
	return a.Unmap()
}

// Prefix converts the library's address and mask. It is invalid where either is.
func Prefix(n net.IPNet) netip.Prefix {
	a := Addr(n.IP)
	ones, bits := n.Mask.Size()
	return netip.PrefixFrom(a, ones-bits+a.BitLen())
}

// IPNet is the opposite of Prefix.
func IPNet(p netip.Prefix) net.IPNet {
	return net.IPNet{IP: p.Addr().AsSlice(), Mask: net.CIDRMask(p.Bits(), p.Addr().BitLen())}
}

// Addresses are a result's addresses of the container's link ifName, and those without interface.
func Addresses(res *current.Result, ifName string) []netip.Prefix {
	var list []netip.Prefix
	for _, ip := range res.IPs {
		if i := ip.Interface; i != nil && *i >= 0 && *i < len(res.Interfaces) {
			if link := res.Interfaces[*i]; link == nil || link.Name != ifName || link.Sandbox == "" {
				continue
			}
		}
		if p := Prefix(ip.Address); p.IsValid() {
			list = append(list, p)
		}
	}
	return list
}
