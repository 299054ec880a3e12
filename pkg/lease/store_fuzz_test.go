package lease

import (
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/limit"
)

// FuzzStore: whatever stands in leases, index and counters, there is no panic, no
// address is given twice, and GC makes room.
func FuzzStore(f *testing.F) {
	for _, content := range []string{"", "c0\r\neth0", "c0", "a\r\neth0", "\x00\x00\x00\x00", strings.Repeat("x", 5000)} {
		f.Add("10.1.0.2", content, "3d1219c7,10.1.0.2", "10.1.0.2")
		f.Add("10.1.0.6", content, "", "")
		f.Add("lock", content, "-,10.1.0.2,10.1.0.3,10.1.0.1,::", "nonsense")
		f.Add("010.1.0.2", content, ",,,", "10.1.0.99")
	}
	f.Fuzz(func(t *testing.T, name, content, target, last string) {
		if name != filepath.Base(name) || name == "." || len(name) > 255 || strings.ContainsRune(name+target, 0) || len(target) > 4000 {
			return // no name of a file, no target of a link
		}
		defer limit.Cost(t)()
		tryStore(t, name, content, target, last)
	})
}

func tryStore(t *testing.T, name, content, target, last string) {
	t.Helper()
	dir := t.TempDir()
	config := `{"cniVersion": "1.1.0", "name": "net", "ipam": {"type": "host-local", "dataDir": "` + dir + `", "subnet": "10.1.0.0/29"}, "cni.dev/valid-attachments": []}`
	req := request(config)
	req.Network, req.ContainerID, req.IfName = "net", "first", "eth0"
	if _, err := Add(req); err != nil {
		t.Fatal(err)
	}
	net := filepath.Join(dir, "net")
	_ = os.WriteFile(filepath.Join(net, name), []byte(content), 0o600)
	_ = os.WriteFile(filepath.Join(net, lastName+"0"), []byte(last), 0o600)
	x := index{filepath.Join(dir, indexName, "net")}
	for _, id := range []string{"a", "c0", "first"} {
		_ = os.Remove(x.path(Owner{id, "eth0"}))
		_ = os.Symlink(target, x.path(Owner{id, "eth0"}))
	}
	owners := make(map[netip.Addr]string)
	for _, id := range []string{"a", "b", "c", "d", "e", "f"} {
		req.ContainerID = id
		res, err := Add(req)
		if err != nil {
			continue // no room, or the file is its own lease
		}
		addr, _ := netip.AddrFromSlice(res.IPs[0].Address.IP)
		if other, taken := owners[addr.Unmap()]; taken {
			t.Errorf("%s is given to %s and %s", addr, other, id)
		}
		owners[addr.Unmap()] = id
	}
	for _, id := range []string{"a", "first", "c0"} {
		req.ContainerID = id
		_ = Del(req)
	}
	if err := GC(req); err != nil && name != "lock" {
		t.Errorf("GC: %v", err)
	}
	_ = Status(req)
	req.ContainerID = "last"
	if _, err := Add(req); err != nil {
		t.Errorf("after GC: %v", err)
	}
}
