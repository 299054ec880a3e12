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
		warns("mtu-path", "no MTU on the way is larger than the next",
			"large packets are dropped or fragmented: connections open, then hang with the first full packet", mtuPath),
		fails("mtu-pair", "both ends of a container's link have one MTU",
			"the end with the larger MTU sends frames that the other drops without a word", mtuPair),
		fails("mac-duplicate", "no MAC is on a bridge twice",
			"the bridge sends frames for one container to the other, now this way, now that", macDuplicate),
		fails("ip-duplicate", "no address is in use twice",
			"connections reach one container or the other, by which answered ARP last", ipDuplicate),
		fails("address-drift", "containers have the addresses they were given",
			"the container can't be reached at the address that everybody else was told", drifted),
		warns("network-manager", "NetworkManager leaves our links alone",
			"NetworkManager may take addresses off the bridge, or run DHCP on it",
			manages("NetworkManager", "/run/NetworkManager/devices", // nm-config-data
				`printf '[keyfile]\nunmanaged-devices=interface-name:veth*;interface-name:NAME\n' >/etc/NetworkManager/conf.d/bridgeport.conf && nmcli general reload`,
				"managed=true", "managed=1")),
		warns("networkd", "systemd-networkd leaves our links alone",
			"a reload of systemd-networkd removes addresses and routes that its files do not name",
			manages("systemd-networkd", "/run/systemd/netif/links", // sd-network
				`printf '[Match]\nName=NAME veth*\n[Link]\nUnmanaged=yes\n' >/etc/systemd/network/05-bridgeport.network && networkctl reload`,
				"ADMIN_STATE=configured", "ADMIN_STATE=configuring", "ADMIN_STATE=pending")),
	}
}

func mtuPath(p *Patient) {
	smallest := 0
	name := ""
	for _, u := range p.Uplinks() {
		if smallest == 0 || u.MTU < smallest {
			smallest, name = u.MTU, u.Name
		}
	}
	for _, b := range p.bridges() {
		if smallest > 0 && b.MTU > smallest && p.Link(name) != b {
			p.tell(fmt.Sprintf("ip link set %s mtu %d   # and \"mtu\": \"auto\" in the network's configuration", b.Name, smallest),
				"bridge %s has MTU %d, the way out %s only %d", b.Name, b.MTU, name, smallest)
		}
	}
}

func mtuPair(p *Patient) {
	for _, a := range p.inside() {
		if a.Host != nil && a.Host.MTU != a.Inner.MTU {
			p.tell(fmt.Sprintf("ip link set %s mtu %d", a.Host.Name, a.Inner.MTU),
				"%s: %s has MTU %d, %s inside has %d", a.Name(), a.Host.Name, a.Host.MTU, a.IfName, a.Inner.MTU)
		}
	}
}

func macDuplicate(p *Patient) {
	seen := make(map[string]*attachment.Attachment)
	for _, a := range p.inside() {
		key := a.Bridge + " " + a.Inner.MAC
		if o := seen[key]; o != nil {
			p.tell("replace one of the containers; \"macspoofchk\": true keeps containers from taking others' addresses",
				"%s is the MAC of %s and of %s on bridge %s", a.Inner.MAC, o.Name(), a.Name(), a.Bridge)
		}
		seen[key] = a
	}
}

func ipDuplicate(p *Patient) {
	seen := make(map[string]*attachment.Attachment)
	for _, a := range p.inside() {
		for _, addr := range a.Inner.Addrs {
			if addr.Addr().IsLinkLocalUnicast() {
				continue
			}
			key := a.Bridge + " " + addr.Addr().String()
			if o := seen[key]; o != nil {
				p.tell("replace one of the containers; bridgeport who "+addr.Addr().String()+" tells who leased it",
					"%s is in use by %s and by %s on bridge %s", addr.Addr(), o.Name(), a.Name(), a.Bridge)
			} else if b := p.Link(a.Bridge); b != nil && b.Has(addr.Addr()) {
				p.tell("replace the container; keep the gateway out of the range", "%s is in use by %s and by its bridge %s", addr.Addr(), a.Name(), b.Name)
			}
			seen[key] = a
		}
	}
}

// manages looks for links of ours in the notes that a daemon has of links, by index, in dir:
// it manages those with one of the marks. NAME in the fix stands for the link.
func manages(daemon, dir, fix string, marks ...string) func(*Patient) {
	return func(p *Patient) {
		var names []string
		for _, b := range p.bridges() {
			for _, l := range append([]*node.Link{b}, p.Ports(b)...) {
				data, _ := os.ReadFile(filepath.Join(dir, fmt.Sprint(l.Index))) // the daemon may not know it, or not run
				lines := strings.Fields(string(data))
				if slices.ContainsFunc(marks, func(m string) bool { return slices.Contains(lines, m) }) {
					names = append(names, l.Name)
				}
			}
		}
		if len(names) > 0 {
			p.tell(strings.ReplaceAll(fix, "NAME", names[0]), "%s manages %s", daemon, strings.Join(names, ", "))
		}
	}
}
