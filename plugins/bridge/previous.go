package bridge

import (
	"bytes"
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// takePrevious takes from the result of ADD what is ours: plugins after us may have
// added interfaces and addresses, and changed the container's MAC.
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
	var err error
	if text := prev.Interfaces[index].Mac; text != "" { // results of 0.2.0 and before have none
		in.mac, err = net.ParseMAC(text)
	}
	if err != nil {
		return cni.Errorf(cni.CodeConfig, "prevResult: interface %s: %q is not a MAC address", in.owner.IfName, prev.Interfaces[index].Mac)
	}
	// The bridge's may be another by now, if another network configured it.
	in.facts.MTU = prev.Interfaces[index].Mtu
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
	for _, a := range in.addresses() {
		if a.prefix.Masked().Contains(gw) {
			return true
		}
	}
	return false
}
