package doctor

import (
	"strconv"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func hostChecks() []Check {
	return []Check{
		fails("ipv6-ra", "forwarding does not cost the host its IPv6 route",
			"the host's own IPv6 default route comes from router advertisements, which a host that forwards ignores: it is lost when it expires", routerAdvertisements),
		warns("rp-filter", "strict reverse path filtering does not drop replies",
			"with several ways out the kernel drops packets that come in by another one than replies would take", reversePath),
		fails("conntrack-full", "the table of connections has room",
			"new connections are dropped at random, on the whole host (`dmesg`: table full, dropping packet)", conntrackFull),
	}
}

func routerAdvertisements(p *Patient) {
	const protocolRA = 9 // RTPROT_RA
	if node.Sysctl("net/ipv6/conf/all/forwarding") == "0" {
		return
	}
	for _, u := range p.Uplinks() {
		for _, r := range p.Routes {
			if r.Link == u.Index && r.Dst.Bits() == 0 && !r.Dst.Addr().Is4() && r.Protocol == protocolRA && node.Sysctl("net/ipv6/conf/"+u.Name+"/accept_ra") == "1" {
				p.tell("sysctl -w net.ipv6.conf."+u.Name+".accept_ra=2",
					"net.ipv6.conf.all.forwarding is on, and %s has accept_ra 1 and a default route by router advertisement", u.Name)
				return
			}
		}
	}
}

func reversePath(p *Patient) {
	if len(p.Uplinks()) < 2 {
		return
	}
	for _, u := range p.Uplinks() {
		for _, key := range []string{"all", u.Name} {
			if node.Sysctl("net/ipv4/conf/"+key+"/rp_filter") == "1" {
				p.tell("sysctl -w net.ipv4.conf."+key+".rp_filter=2", "there are %d ways out, and net.ipv4.conf.%s.rp_filter is 1 (strict)", len(p.Uplinks()), key)
				return
			}
		}
	}
}

func conntrackFull(p *Patient) {
	used, total := setting("net/netfilter/nf_conntrack_count"), setting("net/netfilter/nf_conntrack_max")
	if total == 0 || used*10 < total*8 {
		return
	}
	p.tell("sysctl -w net.netfilter.nf_conntrack_max="+strconv.Itoa(total*4)+"   # in the host's own namespace", "%d of %d connections are in the table", used, total)
}

// setting is a number; 0 where the kernel has no such setting.
func setting(key string) int {
	n, _ := strconv.Atoi(node.Sysctl(key))
	return n
}
