package doctor

import (
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/shell"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"golang.org/x/sys/unix"
)

func leaseChecks() []Check {
	return []Check{
		warns("pool-full", "pools have free addresses",
			"soon no more containers can start: ADD fails with code 102", poolFull),
		warns("lease-dead", "leases belong to attachments that live",
			"the pool shrinks with each of them until no container can start",
			orphans("lease", func(a *attachment.Attachment) int { return len(a.Leases) })),
		fails("lease-missing", "living attachments have their leases",
			"the address will be given to another container while this one still uses it", drifted),
		warns("lease-empty", "lease files have content",
			"the reference's host-local never gives such an address out again: a crash left the file empty", leaseEmpty),
		warns("lease-clock", "leases are not from the future",
			"the clock was set back: ages are wrong, and gc can't tell new leases from old ones", leaseClock),
		fails("lease-writable", "leases can be written",
			"every ADD fails, and no DEL gives an address back", leaseWritable),
	}
}

func poolFull(p *Patient) {
	for _, w := range p.Networks {
		for _, pool := range w.Pools {
			if pool.Full() >= 0.9 {
				p.tell("bridgeport gc; then give the network a larger or a second range",
					"network %s: %s addresses of %s are leased", w.Name, pool, pool.Range)
			}
		}
	}
}

func leaseEmpty(p *Patient) {
	for _, l := range p.Leases {
		if l.Owner.ContainerID == "" {
			p.tell("rm "+shell.Quote(l.Path())+"   # or bridgeport gc", "%s is no lease", l.Path())
		}
	}
}

func leaseClock(p *Patient) {
	for _, l := range p.Leases {
		if ahead := time.Until(l.Time); ahead > time.Minute {
			p.tell("touch "+shell.Quote(l.Path())+"   # once the clock is right: timedatectl", "%s is %s ahead of the clock", l.Path(), ahead.Round(time.Minute))
		}
	}
}

func leaseWritable(p *Patient) {
	var dirs []string
	for _, w := range p.Networks {
		dirs = append(dirs, w.DataDir)
	}
	slices.Sort(dirs)
	for _, dir := range slices.Compact(dirs) {
		var fs unix.Statfs_t
		if err := unix.Statfs(dir, &fs); err != nil {
			continue // no container yet
		}
		switch info, err := os.Stat(dir); {
		case err != nil || !info.IsDir():
			p.tell("make it a directory", "%s is no directory", dir)
		case fs.Flags&unix.ST_RDONLY != 0:
			p.tell(fmt.Sprintf("mount -o remount,rw $(findmnt -no TARGET --target %s)", dir), "%s is on a file system that is mounted read-only", dir)
		case fs.Bavail == 0 || fs.Files > 0 && fs.Ffree == 0:
			p.tell(fmt.Sprintf("df -h %s; df -i %s; make room", dir, dir), "%s is on a full file system: %d blocks and %d inodes are free", dir, fs.Bavail, fs.Ffree)
		}
	}
}
