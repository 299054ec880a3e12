package lease

import (
	"errors"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

func TestCheck(t *testing.T) {
	const header = "leases: "
	tests := []struct {
		name, ips string // of prevResult
		change    func(p *pool) error
		code      uint
		want      string
	}{
		{"good", "10.1.0.2/24 fd00::2/64", nil, 0, ""},
		{"foreign addresses are others' business", "10.1.0.2/24 192.168.0.1/24", nil, 0, ""},
		{
			"gone", "10.1.0.2/24 fd00::2/64", func(p *pool) error { return os.Remove(filepath.Join(p.dir, "fd00::2")) }, cni.CodeDrift,
			header + "address fd00::2 is not leased to anyone, expected container c1",
		},
		{
			"another's", "10.1.0.2/24", func(p *pool) error { return p.write("10.1.0.2", "c9\r\neth0")() }, cni.CodeDrift,
			header + `address 10.1.0.2 is leased to container "c9" link "eth0", expected container "c1" link "eth0"`,
		},
		{
			"empty", "10.1.0.2/24", func(p *pool) error { return p.write("10.1.0.2", "")() }, cni.CodeDrift,
			header + `address 10.1.0.2 is leased to container "" link "", expected container "c1" link "eth0"`,
		},
		{
			"both wrong", "10.1.0.2/24 fd00::9/64", func(p *pool) error { return os.Remove(filepath.Join(p.dir, "10.1.0.2")) }, cni.CodeDrift,
			header + "address 10.1.0.2 is not leased to anyone, expected container c1; address fd00::9 is not leased to anyone, expected container c1",
		},
		{"old form", "10.1.0.2/24", func(p *pool) error { return p.write("10.1.0.2", "c1")() }, 0, ""},
		{
			"no address of ours", "192.168.0.1/24", nil, cni.CodeDrift,
			header + "no address of the result is in the ranges of network's host-local, container c1",
		},
		{
			"no leases at all", "10.1.0.2/24", func(p *pool) error { return os.RemoveAll(p.data) }, cni.CodeDrift,
			header + "network net has none, expected one for container c1",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, dual)
			p.wantAdd("c1", "10.1.0.2 fd00::2")
			if tt.change != nil {
				p.foreign(func() error { return tt.change(p) })
			}
			ips := strings.ReplaceAll(tt.ips, " ", `"}, {"address": "`)
			err := Check(p.request("c1", `, "prevResult": {"cniVersion": "1.1.0", "ips": [{"address": "`+ips+`"}]}`))
			wantError(t, err, tt.code, tt.want)
		})
	}
}

func TestCheckWithoutResult(t *testing.T) {
	p := newPool(t, dual)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	wantError(t, Check(p.request("c1", "")), cni.CodeConfig, "prevResult: missing, ADD needs the result of ADD")
}

func TestGC(t *testing.T) {
	const all = "10.1.0.2=c1/eth0 10.1.0.3=c1/eth1 10.1.0.4=c2/eth0 10.1.0.8=old 10.1.0.9="
	tests := []struct{ name, valid, want, err string }{
		{"no list is not an empty list", ``, all, ""},
		{"null, as libcni sends an empty list", `, "cni.dev/valid-attachments": null`, "", ""},
		{"empty list", `, "cni.dev/valid-attachments": []`, "", ""},
		{"some", `, "cni.dev/valid-attachments": [{"containerID": "c1", "ifname": "eth1"}, {"containerID": "c3", "ifname": "eth0"}]`, "10.1.0.3=c1/eth1", ""},
		{"the old form by its container", `, "cni.dev/valid-attachments": [{"containerID": "old", "ifname": "eth0"}]`, "10.1.0.8=old", ""},
		{"bad list changes nothing", `, "cni.dev/valid-attachments": "all"`, all, "cni.dev/valid-attachments: wants a list, but has a string"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
			p.wantAdd("c1", "10.1.0.2")
			p.wantAdd("c1/eth1", "10.1.0.3")
			p.wantAdd("c2", "10.1.0.4")
			p.foreign(p.write("10.1.0.8", "old"))
			p.foreign(p.write("10.1.0.9", ""))
			wantError(t, GC(p.request("", tt.valid)), cni.CodeDecode, tt.err)
			p.wantLeases(tt.want)
			p.wantDel("c1")
			p.wantDel("c1/eth1")
			p.wantDel("c2")
		})
	}
	p := newPool(t, dual)
	if err := GC(p.request("", `, "cni.dev/valid-attachments": []`)); err != nil {
		t.Errorf("a network that never had a lease: %v", err)
	}
}

func TestStatus(t *testing.T) {
	p := newPool(t, small)
	want := func(code uint, text string) {
		t.Helper()
		wantError(t, Status(p.request("", "")), code, text)
	}
	want(0, "") // nothing there yet
	p.wantAdd("c1", "10.1.0.2")
	want(0, "")
	p.wantAdd("c2", "10.1.0.3")
	want(cni.CodeNotReady, "no IP addresses available in range set: 10.1.0.1-10.1.0.3 of 10.1.0.0/24: all are leased; `bridgeport gc` removes leases of containers that are gone")
	p.wantDel("c1")
	want(0, "")
	p.ranges = `[{"subnet": "10.1.0.1/24"}]`
	want(cni.CodeConfig, "ipam.ranges[0][0].subnet: 10.1.0.1/24 has host bits set, the network is 10.1.0.0/24")
	p.ranges, p.data = small, "/dev/null/networks"
	want(cni.CodeNotReady, "leases: write to /dev/null/networks/net: not a directory")
}

// TestStatusNever: where every ADD fails.
func TestStatusNever(t *testing.T) {
	for name, change := range map[string]func(p *pool) error{
		"dataDir is a file":         func(p *pool) error { return os.WriteFile(p.data, nil, 0o755) },
		"the network's is a file":   func(p *pool) error { return errors.Join(os.Mkdir(p.data, 0o755), os.WriteFile(p.dir, nil, 0o755)) },
		"everybody may write to it": func(p *pool) error { return errors.Join(os.Mkdir(p.data, 0o755), os.Chmod(p.data, 0o777)) },
		"the lock is a symbolic link": func(p *pool) error {
			return errors.Join(os.MkdirAll(p.dir, 0o755), os.Symlink("x", filepath.Join(p.dir, lockName)))
		},
	} {
		p := newPool(t, small)
		p.foreign(func() error { return change(p) })
		if _, err := p.add("c1"); err == nil {
			t.Errorf("%s: ADD works", name)
		}
		if err := Status(p.request("", "")); cni.Code(err) != cni.CodeNotReady {
			t.Errorf("%s: got %v, want code %d", name, err, cni.CodeNotReady)
		}
	}
}

// TestStatusLocked: STATUS does not wait for the lock.
func TestStatusLocked(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	s, err := create(p.data, "net")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	begin := time.Now()
	wantError(t, Status(p.request("", "")), 0, "")
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %s", took)
	}
}

// TestStatusReboot: what an ADD would reclaim is room.
func TestStatusReboot(t *testing.T) {
	p := newPool(t, small)
	p.wantAdd("c1", "10.1.0.2")
	p.wantAdd("c2", "10.1.0.3")
	p.reboot()
	wantError(t, Status(p.request("", "")), 0, "")
	p.wantAdd("c3", "10.1.0.2")
}

// TestDelTolerant: a lease is given back whatever else the configuration holds.
func TestDelTolerant(t *testing.T) {
	p := newPool(t, dual)
	for _, ipam := range []string{`{"dataDir": "%s"}`, `{"dataDir": "%s", "ranges": 5, "subnet": [], "routes": "no"}`, `{"DataDir": "%s", "type": null}`} {
		p.wantAdd("c1", strings.Join([]string{"10.1.0.2", "fd00::2"}, " "))
		req := p.request("c1", "")
		req.Config = []byte(`{"prevResult": [], "ipam": ` + strings.Replace(ipam, "%s", p.data, 1) + `}`)
		if err := Del(req); err != nil {
			t.Errorf("%s: %v", ipam, err)
		}
		p.wantLeases("")
		if err := os.RemoveAll(p.data); err != nil { // begin anew at the first address
			t.Fatal(err)
		}
	}
}

func TestHeld(t *testing.T) {
	p := newPool(t, dual)
	for range 2 {
		held, err := Held(p.request("c1", ""))
		if err != nil || len(held) != 0 {
			t.Errorf("got %v, %v, want nothing", held, err)
		}
		p.wantAdd("c2", "10.1.0.2 fd00::2")
		p.wantDel("c2")
		if err := os.RemoveAll(p.data); err != nil {
			t.Fatal(err)
		}
	}
}

// TestLooksWithoutLock: who only looks waits for nobody, and changes nothing. dataDir may hold
// directories that are no networks'.
func TestLooksWithoutLock(t *testing.T) {
	p := newPool(t, dual)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	p.foreign(p.write("10.1.0.9", "c1\r\neth0")) // now the index is out of date
	p.foreign(func() error { return os.Mkdir(filepath.Join(p.data, "other"), 0o755) })
	s, err := create(p.data, "net")
	if err != nil {
		t.Fatal(err)
	}
	defer s.close()
	before, begin := p.tree(), time.Now()
	for _, tt := range []struct {
		network, subnet, but string
		want                 bool
	}{
		{"net", "10.1.0.0/24", "", true},
		{"net", "10.1.0.0/24", "10.1.0.2", true}, // 10.1.0.9 is left
		{"net", "10.1.0.0/29", "10.1.0.2", false},
		{"net", "10.2.0.0/24", "", false},
		{"other", "10.1.0.0/29", "10.1.0.2", true}, // another network's leases count
		{"other", "fd00::/64", "", true},
		{"none", "10.2.0.0/24", "", false},
	} {
		req := p.request("c2", "")
		req.Network = tt.network
		if got, err := InUse(req, netip.MustParsePrefix(tt.subnet), addrs(strings.Fields(tt.but)...)); err != nil || got != tt.want {
			t.Errorf("%v: in use: got %t, %v", tt, got, err)
		}
	}
	want := addrs("10.1.0.2", "10.1.0.9", "fd00::2")
	held, herr := Held(p.request("c1", ""))
	dead, derr := Invalid(p.request("", ""), nil)
	if !slices.Equal(held, want) || !slices.Equal(dead, want) || herr != nil || derr != nil {
		t.Errorf("held %v, %v, dead %v, %v", held, herr, dead, derr)
	}
	if took := time.Since(begin); took > time.Second {
		t.Errorf("took %s", took)
	}
	if after := p.tree(); after != before {
		t.Errorf("before:\n%safter:\n%s", before, after)
	}
}
