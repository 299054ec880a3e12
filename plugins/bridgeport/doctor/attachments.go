package doctor

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/pkg/ruleset"
	"github.com/bridgeport-cni/bridgeport/pkg/shell"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"golang.org/x/sys/unix"
)

var attachmentChecks = []Check{
	warns("drift", "attachments are as their ADD made them",
		"what CHECK would report; a runtime that checks (CRI-O) restarts such pods", drifted),
	fails("half-attached", "containers' links have their other ends", "the container has addresses, but no way to anywhere", drifted),
	warns("orphan-cache", "libcni's cache has no dead attachments",
		"a runtime that calls GC deletes them again and again; ports and addresses may stay taken",
		orphans("cache entry", func(a *attachment.Attachment) int { return map[bool]int{true: 1}[a.Cached != nil] })),
	warns("unsure", "each attachment is known to live or to be dead",
		"bridgeport gc keeps it, whatever it is", each(attachments, func(p *Patient, a *attachment.Attachment) {
			if a.State == attachment.Doubt {
				p.tell("look who it is: bridgeport who "+a.Container+"; a DEL by its runtime removes it", "%s: %v", a.Name(), a.Findings)
			}
		})),
}

// checkOf is the check that tells a finding of an attachment: "drift" where no other does.
func checkOf(a *attachment.Attachment, f plan.Finding) string {
	ours := func(c nft.Chain) bool { return f.Object == "chain inet "+nft.Table+" "+c.Name }
	for _, t := range []struct {
		kind  plan.Kind
		is    bool
		check string
	}{
		{plan.LinkKind, f.Field == attachment.HostEnd, "half-attached"},
		{plan.LinkKind, f.Field == "state" && f.Object == "bridge "+a.Bridge, "bridge-down"},
		{plan.LinkKind, f.Field == "state" || f.Field == "port of bridge", "port-unplugged"},
		{plan.AddressKind, true, "address-drift"},
		{plan.RouteKind, f.Field == "route", "address-drift"},
		{plan.ElementKind, true, "elements-missing"},
		{plan.RuleKind, true, "elements-missing"},
		{plan.ChainKind, slices.ContainsFunc(ruleset.Base().Chains(), ours), "rules-missing"},
		{plan.LeaseKind, true, "lease-missing"},
		{plan.GatewayKind, f.Object == "link "+a.Bridge, "gateway-missing"},
		{plan.SysctlKind, f.Field == "net.ipv4.ip_forward", "ip-forward"},
		{plan.SysctlKind, f.Field == "net.ipv6.conf.all.forwarding", "ip6-forward"},
		{plan.SysctlKind, f.Field == "net.ipv6.conf."+a.Bridge+".accept_ra", "accept-ra"},
	} {
		if f.Kind == t.kind && t.is {
			return t.check
		}
	}
	return "drift"
}

// drifted tells the findings of living attachments that are the check's.
func drifted(p *Patient) {
	for _, a := range p.List {
		if a.State != attachment.Drift {
			continue
		}
		mine := slices.DeleteFunc(slices.Clone(a.Findings), func(f plan.Finding) bool { return checkOf(a, f) != p.check.Name })
		fix := "bridgeport repair"
		if a.Cached == nil || a.Host == nil { // repair works by libcni's cache, and does not make links
			fix = "replace the container: only a new ADD makes what is missing"
		}
		if len(mine) > 0 {
			p.tell(fix, "%s: %v", a.Name(), mine)
		}
	}
}

// orphans tells how many things of a kind the dead have left.
func orphans(what string, count func(*attachment.Attachment) int) func(*Patient) {
	return each(attachments, func(p *Patient, a *attachment.Attachment) {
		if n := count(a); a.State == attachment.Orphan && n > 0 {
			p.tell("bridgeport gc", "%s of %s: %v", show.Count(n, what), a.Name(), a.Findings)
		}
	})
}

var leaseChecks = []Check{
	warns("pool-full", "pools have free addresses",
		"soon no more containers can start: ADD fails with code 102", each(networks, func(p *Patient, w attachment.Network) {
			for _, pool := range w.Pools {
				if pool.Full() >= 0.9 {
					p.tell("bridgeport gc; then give the network a larger or a second range",
						"network %s: %s addresses of %s are leased", w.Name, pool, pool.Range)
				}
			}
		})),
	warns("lease-dead", "leases belong to attachments that live", "the pool shrinks with each of them until no container can start",
		orphans("lease", func(a *attachment.Attachment) int { return len(a.Leases) })),
	fails("lease-missing", "living attachments have their leases",
		"the address will be given to another container while this one still uses it", drifted),
	warns("lease-empty", "lease files have content",
		"the reference's host-local never gives such an address out again: a crash left the file empty",
		each(leases, func(p *Patient, l node.Lease) {
			if l.Owner.ContainerID == "" {
				p.tell("rm "+shell.Quote(l.Path())+"   # or bridgeport gc", "%s is no lease", l.Path())
			}
		})),
	warns("lease-clock", "leases are not from the future",
		"the clock was set back: ages are wrong, and gc can't tell new leases from old ones",
		each(leases, func(p *Patient, l node.Lease) {
			if ahead := time.Until(l.Time); ahead > time.Minute {
				p.tell("touch "+shell.Quote(l.Path())+"   # once the clock is right: timedatectl",
					"%s is %s ahead of the clock", l.Path(), ahead.Round(time.Minute))
			}
		})),
	fails("lease-writable", "leases can be written", "every ADD fails, and no DEL gives an address back", each(dataDirs, writable)),
}

func leases(p *Patient) []node.Lease { return p.Leases }

func dataDirs(p *Patient) (dirs []string) {
	for _, w := range p.Networks {
		dirs = append(dirs, w.DataDir)
	}
	slices.Sort(dirs)
	return slices.Compact(dirs)
}

func writable(p *Patient, dir string) {
	var fs unix.Statfs_t
	if err := unix.Statfs(dir, &fs); err != nil {
		return // no container yet
	}
	switch info, err := os.Stat(dir); {
	case err != nil || !info.IsDir():
		p.tell("make it a directory", "%s is no directory", dir)
	case fs.Flags&unix.ST_RDONLY != 0:
		p.tell(fmt.Sprintf("mount -o remount,rw $(findmnt -no TARGET --target %s)", dir), "%s is on a file system that is mounted read-only", dir)
	case fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0:
		p.tell(fmt.Sprintf("df -h %s; df -i %s; make room", dir, dir),
			"%s is on a full file system: %d blocks and %d inodes are free", dir, fs.Bavail, fs.Ffree)
	}
}
