package doctor

import (
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func linkChecks() []Check {
	return []Check{
		{
			"mtu-path", "no MTU on the way is larger than the next", Warn,
			"large packets are dropped or fragmented: connections open, then hang with the first full packet",
			mtuPath,
		},
		{
			"mtu-pair", "both ends of a container's link have one MTU", Fail,
			"the end with the larger MTU sends frames that the other drops without a word",
			mtuPair,
		},
		{
			"mac-duplicate", "no MAC is on a bridge twice", Fail,
			"the bridge sends frames for one container to the other, now this way, now that",
			macDuplicate,
		},
		{
			"ip-duplicate", "no address is in use twice", Fail,
			"connections reach one container or the other, by which answered ARP last",
			ipDuplicate,
		},
		{
			"address-drift", "containers have the addresses they were given", Fail,
			"the container can't be reached at the address that everybody else was told",
			func(p *Patient) []symptom { return p.drifted(": address ", ": route ") },
		},
		{
			"network-manager", "NetworkManager leaves our links alone", Warn,
			"NetworkManager may take addresses off the bridge, or run DHCP on it",
			networkManager,
		},
		{
			"networkd", "systemd-networkd leaves our links alone", Warn,
			"a reload of systemd-networkd removes addresses and routes that its files do not name",
			networkd,
		},
	}
}

func mtuPath(p *Patient) []symptom {
	smallest := 0
	name := ""
	for _, u := range p.uplinks() {
		if smallest == 0 || u.MTU < smallest {
			smallest, name = u.MTU, u.Name
		}
	}
	var list []symptom
	for _, b := range p.bridges() {
		if smallest > 0 && b.MTU > smallest && p.Link(name) != b {
			list = append(list, one("set \"mtu\": \"auto\" in the network's configuration; for what exists: ip link set "+b.Name+fmt.Sprintf(" mtu %d", smallest),
				"bridge %s has MTU %d, the way out %s only %d", b.Name, b.MTU, name, smallest)...)
		}
	}
	return list
}

func mtuPair(p *Patient) []symptom {
	var list []symptom
	for _, a := range p.alive() {
		if a.Host != nil && a.Inner != nil && a.Host.MTU != a.Inner.MTU {
			list = append(list, one(fmt.Sprintf("ip link set %s mtu %d", a.Host.Name, a.Inner.MTU),
				"%s: %s has MTU %d, %s inside has %d", a.Name(), a.Host.Name, a.Host.MTU, a.IfName, a.Inner.MTU)...)
		}
	}
	return several(list)
}

func macDuplicate(p *Patient) []symptom {
	seen := make(map[string]*attachment.Attachment)
	var list []symptom
	for _, a := range p.alive() {
		if a.Inner == nil {
			continue
		}
		key := a.Bridge + " " + a.Inner.MAC
		if o := seen[key]; o != nil {
			list = append(list, one("replace one of the containers; \"macspoofchk\": true keeps containers from taking others' addresses",
				"%s is the MAC of %s and of %s on bridge %s", a.Inner.MAC, o.Name(), a.Name(), a.Bridge)...)
		}
		seen[key] = a
	}
	return several(list)
}

func ipDuplicate(p *Patient) []symptom {
	seen := make(map[string]*attachment.Attachment)
	var list []symptom
	for _, a := range p.alive() {
		if a.Inner == nil {
			continue
		}
		for _, addr := range a.Inner.Addrs {
			if addr.Addr().IsLinkLocalUnicast() {
				continue
			}
			key := a.Bridge + " " + addr.Addr().String()
			if o := seen[key]; o != nil {
				list = append(list, one("replace one of the containers; bridgeport who "+addr.Addr().String()+" tells who leased it",
					"%s is in use by %s and by %s on bridge %s", addr.Addr(), o.Name(), a.Name(), a.Bridge)...)
			} else if b := p.Link(a.Bridge); b != nil && b.Has(addr.Addr()) {
				list = append(list, one("replace the container; keep the gateway out of the range", "%s is in use by %s and by its bridge %s", addr.Addr(), a.Name(), b.Name)...)
			}
			seen[key] = a
		}
	}
	return several(list)
}

// ourLinks are the bridges and their ports.
func (p *Patient) ourLinks() []*node.Link {
	var list []*node.Link
	for _, b := range p.bridges() {
		list = append(append(list, b), p.Ports(b)...)
	}
	return list
}

// networkManager reads NetworkManager's notes about devices (nm-config-data).
func networkManager(p *Patient) []symptom {
	managed := p.managed("/run/NetworkManager/devices", "managed=true", "managed=1")
	if len(managed) == 0 {
		return nil
	}
	return one(`printf '[keyfile]\nunmanaged-devices=interface-name:veth*;interface-name:`+managed[0]+`\n' >/etc/NetworkManager/conf.d/bridgeport.conf && nmcli general reload`,
		"NetworkManager manages %s", strings.Join(managed, ", "))
}

// networkd reads systemd-networkd's state of links (sd-network, ADMIN_STATE).
func networkd(p *Patient) []symptom {
	managed := p.managed("/run/systemd/netif/links", "ADMIN_STATE=configured", "ADMIN_STATE=configuring", "ADMIN_STATE=pending")
	if len(managed) == 0 {
		return nil
	}
	return one(`printf '[Match]\nName=`+managed[0]+` veth*\n[Link]\nUnmanaged=yes\n' >/etc/systemd/network/05-bridgeport.network && networkctl reload`,
		"systemd-networkd configures %s", strings.Join(managed, ", "))
}

func (p *Patient) managed(dir string, marks ...string) []string {
	var names []string
	for _, l := range p.ourLinks() {
		data, err := os.ReadFile(filepath.Join(dir, fmt.Sprint(l.Index)))
		if err != nil {
			continue // the daemon does not know the link, or does not run
		}
		lines := strings.Fields(string(data))
		if slices.ContainsFunc(marks, func(m string) bool { return slices.Contains(lines, m) }) {
			names = append(names, l.Name)
		}
	}
	return names
}
