package lease

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
)

// pool is the leases of one network in a directory of the test's own.
type pool struct {
	*testing.T
	data, dir string // dataDir, and the network's directory in it
	ranges    string
}

// Pools of the tests. small has room for 10.1.0.2 and 10.1.0.3 beside the gateway.
const (
	small = `[{"subnet": "10.1.0.0/24", "rangeEnd": "10.1.0.3"}]`
	dual  = `[{"subnet": "10.1.0.0/24"}], [{"subnet": "fd00::/64"}]`
)

func newPool(t *testing.T, ranges string) *pool {
	t.Helper()
	data := filepath.Join(t.TempDir(), "networks")
	return &pool{t, data, filepath.Join(data, "net"), ranges}
}

// request is for container "c1" or "c1/eth1"; more is further keys, each after a comma.
func (p *pool) request(container, more string) *cni.Request {
	req := request(fmt.Sprintf(`{"ipam": {"type": "host-local", "dataDir": %q, "ranges": [%s]}%s}`, p.data, p.ranges, more))
	id, ifName, _ := strings.Cut(container, "/")
	req.ContainerID = id
	if ifName != "" {
		req.IfName = ifName
	}
	return req
}

// add is the leased addresses, "10.1.0.2 fd00::2", or the error.
func (p *pool) add(container string) (string, error) { return p.addWith(container, "") }

func (p *pool) addWith(container, more string) (string, error) {
	res, err := Add(p.request(container, more))
	if err != nil {
		return "", err
	}
	var list []string
	for _, ip := range res.IPs {
		list = append(list, ip.Address.IP.String())
	}
	return strings.Join(list, " "), nil
}

func (p *pool) wantAdd(container, want string) {
	p.Helper()
	if got, err := p.add(container); err != nil || got != want {
		p.Errorf("ADD %s: got %q, %v, want %q", container, got, err, want)
	}
}

func (p *pool) wantDel(container string) {
	p.Helper()
	if err := Del(p.request(container, "")); err != nil {
		p.Errorf("DEL %s: %v", container, err)
	}
}

// wantLeases compares the files, "10.1.0.2=c1/eth0 10.1.0.3=c2/eth0".
func (p *pool) wantLeases(want string) {
	p.Helper()
	s := unlocked(p.data, "net")
	names, err := s.names()
	if err != nil && !errors.Is(err, os.ErrNotExist) {
		p.Fatal(err)
	}
	var list []string
	for _, a := range names {
		// Planted things may be FIFOs, which a plain read would wait for.
		if info, err := os.Stat(s.path(a)); err != nil || !info.Mode().IsRegular() {
			p.Fatalf("%s is no file: %v", a, err)
		}
		text, err := os.ReadFile(s.path(a))
		if err != nil {
			p.Fatal(err)
		}
		list = append(list, a.String()+"="+strings.ReplaceAll(string(text), "\r\n", "/"))
	}
	if got := strings.Join(list, " "); got != want {
		p.Errorf("leases: got  %s\n        want %s", got, want)
	}
}

// foreign changes the directory as something else than us would, at another time
// than our last change: file times of older kernels have steps of up to 10 ms.
func (p *pool) foreign(change func() error) {
	p.Helper()
	if err := change(); err != nil {
		p.Fatal(err)
	}
}

func (p *pool) write(name, text string) func() error {
	return func() error {
		return errors.Join(os.MkdirAll(p.dir, 0o755), os.WriteFile(filepath.Join(p.dir, name), []byte(text), 0o600))
	}
}

// reboot makes all leases so far those of an earlier boot.
func (p *pool) reboot() {
	p.Helper()
	index := filepath.Join(p.data, indexName, "net")
	entries, err := os.ReadDir(index)
	if err != nil {
		p.Fatal(err)
	}
	for _, e := range entries {
		if e.Name() == restName {
			continue
		}
		path := filepath.Join(index, e.Name())
		target, err := os.Readlink(path)
		if err != nil {
			p.Fatal(err)
		}
		_, rest, _ := strings.Cut(target, ",")
		if err := errors.Join(os.Remove(path), os.Symlink("00000000,"+rest, path)); err != nil {
			p.Fatal(err)
		}
	}
}

// rested ends the rest of all released addresses.
func (p *pool) rested() {
	p.Helper()
	freed, err := filepath.Glob(filepath.Join(p.data, indexName, "net", restName, "*"))
	if err != nil {
		p.Fatal(err)
	}
	for _, path := range freed {
		if err := os.Remove(path); err != nil {
			p.Fatal(err)
		}
	}
}

// tree lists all files below dataDir: mode, name, content or target.
func (p *pool) tree() string {
	p.Helper()
	var b strings.Builder
	err := filepath.WalkDir(p.data, func(path string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := d.Info()
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(p.data, path) // WalkDir made path of data
		fmt.Fprintf(&b, "%s %s", info.Mode(), name)
		switch {
		case info.Mode().IsRegular():
			text, err := os.ReadFile(path)
			fmt.Fprintf(&b, " %q", text)
			if err != nil {
				return err
			}
		case info.Mode()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			fmt.Fprintf(&b, " -> %s", target)
			if err != nil {
				return err
			}
		}
		b.WriteByte('\n')
		return nil
	})
	if err != nil {
		p.Fatal(err)
	}
	return b.String()
}
