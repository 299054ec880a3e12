package doctor

import "github.com/bridgeport-cni/bridgeport/pkg/kernel"

var kernelChecks = []Check{
	warns("kernel-old", "the kernel is one that Bridgeport is tested on",
		"what this kernel lacks is found when a container is to start", func(p *Patient) {
			if text := p.Kernel.Old(); text != "" {
				p.tell("run a newer kernel", "%s", text)
			}
		}),
	warns("kernel-bug", "the kernel has no bug that is known to break containers' networks", "see what the bug does", func(p *Patient) {
		for _, b := range bugs {
			if fixed := b.fixed(p.Kernel); fixed != (kernel.Version{}) {
				p.tell("run Linux "+fixed.String()+", or newer", "Linux %s %s, until commit %s", p.Kernel, b.does, b.commit)
			}
		}
	}),
}

// A bug is a regression of Linux that who has bridges, nf_tables or iptables meets.
type bug struct {
	does   string
	commit string              // which mended it, in Linus Torvalds' tree
	in     [][2]kernel.Version // each from the first that has it to the first that has it no more
}

var bugs = []bug{
	{
		"has no targets MARK, NFLOG and TRACE for ip6tables: published ports of IPv6 with backend iptables fail, and kube-proxy's rules",
		"306ed1728e84",
		[][2]kernel.Version{
			{{5, 15, 168}, {5, 15, 170}}, {{6, 1, 113}, {6, 1, 115}}, {{6, 6, 57}, {6, 6, 59}}, {{6, 11, 4}, {6, 11, 6}},
		},
	},
	{
		"may crash when two connections are translated at the same moment, such as two DNS questions by one socket", "2d72afb34065",
		[][2]kernel.Version{
			{{5, 19}, {6, 1, 147}}, {{6, 2}, {6, 6, 100}}, {{6, 7}, {6, 12, 40}}, {{6, 13}, {6, 15, 8}},
		},
	},
}

// fixed is the first version without the bug, after one that has it. Distributions that leave the
// last number at 0 bring fixes into it one by one: of those nothing is known.
func (b bug) fixed(v kernel.Version) kernel.Version {
	for _, in := range b.in {
		if v[2] > 0 && !v.Before(in[0]) && v.Before(in[1]) {
			return in[1]
		}
	}
	return kernel.Version{}
}
