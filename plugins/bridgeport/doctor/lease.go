package doctor

import (
	"fmt"
	"os"
	"time"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"golang.org/x/sys/unix"
)

func leaseChecks() []Check {
	return []Check{
		{
			"pool-full", "pools have free addresses", Warn,
			"soon no more containers can start: ADD fails with code 102",
			poolFull,
		},
		{
			"lease-dead", "leases belong to attachments that live", Warn,
			"the pool shrinks with each of them until no container can start",
			func(p *Patient) []symptom {
				return p.orphans("lease", func(a *attachment.Attachment) int { return len(a.Leases) })
			},
		},
		{
			"lease-missing", "living attachments have their leases", Fail,
			"the address will be given to another container while this one still uses it",
			func(p *Patient) []symptom { return p.drifted("the lease of") },
		},
		{
			"lease-empty", "lease files have content", Warn,
			"the reference's host-local never gives such an address out again: a crash left the file empty",
			leaseEmpty,
		},
		{
			"lease-clock", "leases are not from the future", Warn,
			"the clock was set back: ages are wrong, and gc can't tell new leases from old ones",
			leaseClock,
		},
		{
			"lease-writable", "leases can be written", Fail,
			"every ADD fails, and no DEL gives an address back",
			leaseWritable,
		},
	}
}

func poolFull(p *Patient) []symptom {
	var list []symptom
	for _, w := range p.Networks {
		for _, pool := range w.Pools {
			if pool.Full() >= 0.9 {
				list = append(list, one("bridgeport gc; then give the network a larger or a second range",
					"network %s: %s addresses of %s are leased", w.Name, pool, pool.Range)...)
			}
		}
	}
	return list
}

func leaseEmpty(p *Patient) []symptom {
	var list []symptom
	for _, l := range p.Leases {
		if l.Owner.ContainerID == "" {
			list = append(list, one("rm "+l.Path()+" (bridgeport gc does it)", "%s is no lease", l.Path())...)
		}
	}
	return several(list)
}

func leaseClock(p *Patient) []symptom {
	var list []symptom
	for _, l := range p.Leases {
		if ahead := time.Until(l.Time); ahead > time.Minute {
			list = append(list, one("timedatectl (is the clock right?), then touch "+l.Path(), "%s is %s ahead of the clock", l.Path(), ahead.Round(time.Minute))...)
		}
	}
	return several(list)
}

func leaseWritable(p *Patient) []symptom {
	dirs := map[string]bool{}
	for _, w := range p.Networks {
		if w.DataDir != "" {
			dirs[w.DataDir] = true
		}
	}
	var list []symptom
	for dir := range dirs {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			continue // no container yet
		}
		switch info, err := os.Stat(dir); {
		case err != nil || !info.IsDir():
			list = append(list, one("make it a directory", "%s is no directory", dir)...)
		case fs.Flags&unix.ST_RDONLY != 0:
			list = append(list, one(fmt.Sprintf("mount -o remount,rw $(findmnt -no TARGET --target %s)", dir), "%s is on a file system that is mounted read-only", dir)...)
		case fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0:
			list = append(list, one(fmt.Sprintf("df -h %s; df -i %s; make room", dir, dir), "%s is on a full file system: %d blocks and %d inodes are free", dir, fs.Bavail, fs.Ffree)...)
		}
	}
	return list
}
