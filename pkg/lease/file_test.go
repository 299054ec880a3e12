package lease

import (
	"net/netip"
	"testing"
	"time"
)

// TestReclaimPart: what is given back of a dead attachment is not given back once more
// when it is somebody else's.
func TestReclaimPart(t *testing.T) {
	p := newPool(t, small+`, [{"subnet": "fd00::/64", "rangeEnd": "fd00::3"}]`)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	p.wantAdd("c2", "10.1.0.3 fd00::3")
	p.reboot()
	p.wantReclaim(p.file("fd00::2"), true)
	p.ranges = `[{"subnet": "fd00::/64", "rangeEnd": "fd00::3"}]`
	p.wantAdd("c3", "fd00::2")
	p.ranges = small
	p.wantAdd("c4", "10.1.0.2")
	p.wantLeases("10.1.0.2=c4/eth0 fd00::2=c3/eth0")
}

// file is a lease as an operator sees it.
func (p *pool) file(addr string) File {
	p.Helper()
	list, err := Files(p.data, "net")
	if err != nil {
		p.Fatal(err)
	}
	for _, f := range list {
		if f.Addr == netip.MustParseAddr(addr) {
			return f
		}
	}
	p.Fatalf("no lease of %s in %v", addr, list)
	return File{}
}

func (p *pool) wantReclaim(seen File, want bool) {
	p.Helper()
	if did, err := Reclaim(p.data, "net", seen); did != want || err != nil {
		p.Errorf("reclaim %s: %t, %v; want %t", seen.Addr, did, err, want)
	}
}

// TestReclaim: a lease is given back only as it was seen, and without the owner's others.
func TestReclaim(t *testing.T) {
	p := newPool(t, `[{"subnet": "10.1.0.0/24"}]`)
	p.wantAdd("c1", "10.1.0.2")
	seen := p.file("10.1.0.2")
	other := seen
	other.Time = seen.Time.Add(time.Nanosecond)
	p.wantReclaim(other, false)
	other = seen
	other.Owner.ContainerID = "c2"
	p.wantReclaim(other, false)
	p.wantLeases("10.1.0.2=c1/eth0")
	p.wantReclaim(seen, true)
	p.wantLeases("")
	p.wantReclaim(seen, false)

	p = newPool(t, dual)
	p.wantAdd("c1", "10.1.0.2 fd00::2")
	p.wantReclaim(p.file("fd00::2"), true)
	p.wantLeases("10.1.0.2=c1/eth0")
	p.wantDel("c1")
	p.wantLeases("")
}
