package bridge

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// takePrevious rebuilds the plan's inputs from the result of ADD. Plugins after us may have
// added interfaces and addresses, and changed the container's MAC address.
func (in *inputs) takePrevious(prev *current.Result) error {
	index := -1
	for i, link := range prev.Interfaces {
		if link.Name == in.owner.IfName && link.Sandbox != "" {
			index = i
		}
	}
	if index < 0 {
		return cni.Errorf(cni.CodeConfig, "prevResult: no interface %s with a sandbox in it", in.owner.IfName)
	}
	in.mac = nil
	if text := prev.Interfaces[index].Mac; text != "" { // results of 0.2.0 and before have none
		var err error
		if in.mac, err = net.ParseMAC(text); err != nil {
			return cni.Errorf(cni.CodeConfig, "prevResult: interface %s: %q is not a MAC address", in.owner.IfName, text)
		}
	}
	// Another network may have changed the bridge's MTU since ADD.
	in.facts.MTU, in.made = prev.Interfaces[index].Mtu, prev.Interfaces[index].Mtu
	for _, ip := range prev.IPs {
		if ip.Interface == nil || *ip.Interface == index {
			in.ips = append(in.ips, ip)
		}
	}
	in.changed = !in.gave(in.mac)
	for _, r := range prev.Routes {
		if gw := cni.Addr(r.GW); !gw.IsValid() || in.onLink(gw) {
			in.routes = append(in.routes, r)
		}
	}
	return nil
}

// gave says whether the MAC address is one that ADD gives.
func (in *inputs) gave(mac net.HardwareAddr) bool {
	given := []net.HardwareAddr{in.conf.MAC, in.owner.ContainerMAC(nil)}
	if len(in.ips) > 0 {
		given = append(given, in.owner.ContainerMAC(in.ips[0].Address.IP))
	}
	return slices.ContainsFunc(given, func(g net.HardwareAddr) bool { return bytes.Equal(g, mac) })
}

// onLink says whether the gateway is reached by our link.
func (in *inputs) onLink(gw netip.Addr) bool {
	return slices.ContainsFunc(in.prefixes(), func(p netip.Prefix) bool { return p.Masked().Contains(gw) })
}
