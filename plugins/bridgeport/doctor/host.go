package doctor

import (
	"strconv"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

func hostChecks() []Check {
	return []Check{
		{
			"ipv6-ra", "forwarding does not cost the host its IPv6 route", Fail,
			"the host's own IPv6 default route comes from router advertisements, which a host that forwards ignores: it is lost when it expires",
			routerAdvertisements,
		},
		{
			"rp-filter", "strict reverse path filtering does not drop replies", Warn,
			"with several ways out the kernel drops packets that come in by another one than replies would take",
			reversePath,
		},
		{
			"conntrack-full", "the table of connections has room", Fail,
			"new connections are dropped at random, on the whole host (`dmesg`: table full, dropping packet)",
			conntrackFull,
		},
	}
}

func routerAdvertisements(p *Patient) []symptom {
	const protocolRA = 9 // RTPROT_RA
	if node.Sysctl("net/ipv6/conf/all/forwarding") == "0" {
		return nil
	}
	for _, u := range p.uplinks() {
		for _, r := range p.Routes {
			if r.Link == u.Index && r.Dst.Bits() == 0 && !r.Dst.Addr().Is4() && r.Protocol == protocolRA && node.Sysctl("net/ipv6/conf/"+u.Name+"/accept_ra") == "1" {
				return one("sysctl -w net.ipv6.conf."+u.Name+".accept_ra=2",
					"net.ipv6.conf.all.forwarding is on, and %s has accept_ra 1 and a default route by router advertisement", u.Name)
			}
		}
	}
	return nil
}

func reversePath(p *Patient) []symptom {
	if len(p.uplinks()) < 2 {
		return nil
	}
	for _, u := range p.uplinks() {
		for _, key := range []string{"all", u.Name} {
			if node.Sysctl("net/ipv4/conf/"+key+"/rp_filter") == "1" {
				return one("sysctl -w net.ipv4.conf."+key+".rp_filter=2", "there are %d ways out, and net.ipv4.conf.%s.rp_filter is 1 (strict)", len(p.uplinks()), key)
			}
		}
	}
	return nil
}

func conntrackFull(*Patient) []symptom {
	used, total := setting("net/netfilter/nf_conntrack_count"), setting("net/netfilter/nf_conntrack_max")
	if total == 0 || used*10 < total*8 {
		return nil
	}
	return one("sysctl -w net.netfilter.nf_conntrack_max="+strconv.Itoa(total*4)+" (in the host's own namespace)", "%d of %d connections are in the table", used, total)
}

// setting is a number; 0 where the kernel has no such setting.
func setting(key string) int {
	n, err := strconv.Atoi(node.Sysctl(key))
	if err != nil {
		return 0
	}
	return n
}
