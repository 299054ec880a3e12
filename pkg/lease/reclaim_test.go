package lease

import (
	"errors"
	"os"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// TestReclaimEmpty: a crash of the machine may leave a lease without content. It
// has no owner, so it goes when its address is needed.
func TestReclaimEmpty(t *testing.T) {
	for name, text := range map[string]string{"empty": "", "white space": " \r\n\n"} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, small)
			p.foreign(p.write("10.1.0.2", text))
			p.wantAdd("c1", "10.1.0.3") // there is no hurry yet
			p.wantAdd("c2", "10.1.0.2")
			p.wantLeases("10.1.0.2=c2/eth0 10.1.0.3=c1/eth0")
		})
	}
	t.Run("requested", func(t *testing.T) {
		p := newPool(t, small)
		p.foreign(p.write("10.1.0.2", ""))
		if got, err := p.addWith("c1", `, "runtimeConfig": {"ips": ["10.1.0.2"]}`); err != nil || got != "10.1.0.2" {
			t.Errorf("got %q, %v", got, err)
		}
	})
}

// TestReclaimBoot: no attachment outlives a boot.
func TestReclaimBoot(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.wantAdd("c2", "10.1.0.3")
	p.reboot()
	// The same container gets its address again, not the next one.
	p.wantAdd("c2", "10.1.0.3")
	p.wantLeases("10.1.0.2=c1/eth0 10.1.0.3=c2/eth0")
	// Another gets a dead one's, but nobody's who has been seen since.
	p.wantAdd("c3", "10.1.0.2")
	p.wantLeases("10.1.0.2=c3/eth0 10.1.0.3=c2/eth0")
	if _, err := p.add("c4"); cni.Code(err) != cni.CodeExhausted {
		t.Errorf("got %v, want the pool to be full", err)
	}
}

// TestReclaimSeen: a lease whose boot nobody knows is dead by the boot after it was seen.
func TestReclaimSeen(t *testing.T) {
	for name, lose := range map[string]func(p *pool) error{
		"the reference's": func(p *pool) error { return p.write("10.1.0.2", "c1\r\neth0")() },
		"index removed": func(p *pool) error {
			p.wantAdd("c1", "10.1.0.2")
			return os.RemoveAll(index2(p).dir)
		},
		"seen without the boot's ID": func(p *pool) error {
			p.wantAdd("c1", "10.1.0.2")
			return errors.Join(os.Remove(index2(p).path(Owner{"c1", "eth0"})), os.Symlink("-,10.1.0.2", index2(p).path(Owner{"c1", "eth0"})))
		},
	} {
		t.Run(name, func(t *testing.T) {
			p := newPool(t, small)
			p.foreign(func() error { return lose(p) })
			p.wantAdd("c2", "10.1.0.3")
			if _, err := p.add("c3"); cni.Code(err) != cni.CodeExhausted {
				t.Errorf("got %v, want the pool to be full", err)
			}
			defer func(real func() string) { bootID = real }(bootID)
			bootID = func() string { return "00000001" }
			p.wantAdd("c3", "10.1.0.2")
		})
	}
}

// TestReclaimUnknownBoot: where the boot's ID can't be read nobody is dead.
func TestReclaimUnknownBoot(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.wantAdd("c2", "10.1.0.3")
	defer func(real func() string) { bootID = real }(bootID)
	bootID = func() string { return "-" }
	for container, code := range map[string]uint{"c3": cni.CodeExhausted, "c1": cni.CodeConflict} {
		if _, err := p.add(container); cni.Code(err) != code {
			t.Errorf("%s: got %v, want code %d", container, err, code)
		}
	}
	p.wantLeases("10.1.0.2=c1/eth0 10.1.0.3=c2/eth0")
}

// TestReclaimBootDual: all leases of a dead attachment go at once.
func TestReclaimBootDual(t *testing.T) {
	p := newPool(t, small+`, [{"subnet": "fd00::/64"}]`)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	p.wantAdd("c2", "10.1.0.3 fd00::3")
	p.reboot()
	p.wantAdd("c3", "10.1.0.2 fd00::4")
	p.wantLeases("10.1.0.2=c3/eth0 fd00::4=c3/eth0")
}

// TestReclaimBootConfig: an old address that the configuration has no room for any
// more is not given again.
func TestReclaimBootConfig(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.reboot()
	p.ranges = `[{"subnet": "10.1.0.0/24", "gateway": "10.1.0.2"}]`
	p.wantAdd("c1", "10.1.0.3")
	p.reboot()
	p.ranges = `[{"subnet": "10.2.0.0/24"}]`
	p.wantAdd("c1", "10.2.0.2")
	p.wantLeases("10.2.0.2=c1/eth0")
}
