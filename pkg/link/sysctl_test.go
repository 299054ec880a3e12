package link

import (
	"errors"
	"maps"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"golang.org/x/sys/unix"
)

func TestSysctlCheck(t *testing.T) {
	key := "net/ipv4/conf/lo/arp_notify"
	set := func(value string) func(w world.World) {
		return func(w world.World) { w.Must(netns.Sysctls(nil).Write(key, value)) }
	}
	world.CheckTampered(t, Sysctl{Key: key, Value: "1"}, nil, []world.Tamper{
		{Name: "nothing", Change: func(world.World) {}, Want: ""},
		{Name: "changed", Change: set("0"), Want: "sysctl: net.ipv4.conf.lo.arp_notify is 0, expected 1"},
	})
	world.CheckTampered(t, Inside{{Key: key, Value: "1"}}, nil, []world.Tamper{
		{Name: "the host's is another", Change: set("0"), Want: ""},
		{Name: "changed", Change: func(w world.World) { w.Must(w.Cont.SetSysctl(key, "0")) }, Want: "container: sysctl: net.ipv4.conf.lo.arp_notify is 0, expected 1"},
	})
}

func TestSysctlErrors(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		none := Sysctl{Key: "net/ipv4/conf/none/arp_notify", Value: "1"}
		if err := none.Add(w.Session); !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "sysctl net.ipv4.conf.none.arp_notify: ") {
			t.Errorf("missing: got %v", err)
		}
		none.Optional = true
		w.Add(none)
		w.WantCheck(none, "")
		none.Key = "net/ipv4/conf/lo/none"
		if err := none.Add(w.Session); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("missing among those of the link: got %v", err)
		}
		if err := (Sysctl{Key: "net/ipv4/ip_forward", Value: "x"}).Add(w.Session); !errors.Is(err, unix.EINVAL) || !strings.HasPrefix(err.Error(), "sysctl net.ipv4.ip_forward: write x: ") {
			t.Errorf("wrong value: got %v", err)
		}
		// Some values the kernel changes without a word.
		if err := (Sysctl{Key: "net/ipv4/conf/lo/arp_notify", Value: "01"}).Add(w.Session); err == nil || err.Error() != "sysctl net.ipv4.conf.lo.arp_notify: wrote 01, but it reads 1" {
			t.Errorf("got %v", err)
		}
	})
}

// TestNoIPv6: what is to be done for IPv6 is done when there is none.
func TestNoIPv6(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Must(unix.Mount("hidden", "/proc/sys/net/ipv6", "tmpfs", 0, ""))
		defer func() { w.Must(unix.Unmount("/proc/sys/net/ipv6", unix.MNT_DETACH)) }()
		none := Sysctl{Key: "net/ipv6/conf/lo/disable_ipv6", Value: "1", Optional: true}
		w.Add(none)
		w.WantCheck(none, "")
		none.Optional = false
		if err := none.Add(w.Session); !errors.Is(err, os.ErrNotExist) {
			t.Errorf("got %v", err)
		}
	})
}

// TestReadOnly: where /proc/sys is read-only a cosmetic setting may have any value, and no other may.
func TestReadOnly(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		const key = "net/ipv6/conf/lo/disable_ipv6"
		w.Must(netns.Sysctls(nil).Write(key, "0"))
		wanted := Sysctl{Key: key, Value: "1"}
		cosmetic := Sysctl{Key: key, Value: "1", Cosmetic: true}
		const drift = "sysctl: net.ipv6.conf.lo.disable_ipv6 is 0, expected 1"
		w.WantCheck(cosmetic, drift)
		w.Must(unix.Mount("/proc/sys", "/proc/sys", "", unix.MS_BIND, ""))
		defer func() { w.Must(unix.Unmount("/proc/sys", unix.MNT_DETACH)) }()
		w.Must(unix.Mount("", "/proc/sys", "", unix.MS_BIND|unix.MS_REMOUNT|unix.MS_RDONLY, ""))
		if err := wanted.add(nil); !errors.Is(err, unix.EROFS) {
			t.Errorf("ADD of one that protects: got %v", err)
		}
		if err := wanted.check(nil); err == nil || err.Error() != drift {
			t.Errorf("CHECK of one that protects: got %v", err)
		}
		if err := errors.Join(cosmetic.add(nil), cosmetic.check(nil)); err != nil {
			t.Errorf("cosmetic: got %v", err)
		}
		cosmetic.Key = "net/ipv6/conf/none/disable_ipv6"
		if cosmetic.add(nil) == nil || cosmetic.check(nil) == nil {
			t.Error("a missing setting is no error")
		}
	})
}

// TestInsideOwnProc: what is set in the container does not go through the /proc that
// everybody shares, whether it can be used or not.
func TestInsideOwnProc(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Must(unix.Mount("hidden", "/proc/sys/net", "tmpfs", 0, ""))
		in := Inside{{Key: "net/ipv4/conf/lo/arp_ignore", Value: "1"}, {Key: "net/ipv6/conf/lo/none", Value: "1", Optional: true}}
		err := in.Add(w.Session)
		w.Must(unix.Unmount("/proc/sys/net", unix.MNT_DETACH))
		if !errors.Is(err, os.ErrNotExist) || !strings.HasPrefix(err.Error(), "container: sysctl net.ipv6.conf.lo.none: ") {
			t.Errorf("missing among those of the link: got %v", err)
		}
		w.WantCheck(in[:1], "")
	})
}

// TestInsideByNetlink: a setting that the kernel takes with the link is queued.
func TestInsideByNetlink(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		for _, name := range slices.Sorted(maps.Keys(conf4)) {
			in := Inside{{Key: "net/ipv4/conf/lo/" + name, Value: "0"}}
			w.Must(w.Cont.SetSysctl(in[0].Key, "1"))
			w.Add(in)
			w.WantCheck(in, "")
		}
		missing := Inside{{Key: "net/ipv4/conf/none/arp_notify", Value: "1"}}
		w.Must(missing.Add(w.Session))
		if err := w.Flush(); !errors.Is(err, unix.ENODEV) || !strings.HasPrefix(err.Error(), "container: sysctl -w net.ipv4.conf.none.arp_notify=1: ") {
			t.Errorf("no such link: got %v", err)
		}
	})
}

// TestNoContainer: without its namespace, what is inside can't be touched, and that
// is said.
func TestNoContainer(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		h, err := plan.Open(nil)
		w.Must(err)
		defer h.Close()
		if err := (Inside{{Key: "net/ipv4/ip_forward", Value: "1"}}).Add(h); err == nil || err.Error() != "container: no such network namespace" {
			t.Errorf("got %v", err)
		}
	})
}
