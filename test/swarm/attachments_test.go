package swarm

import (
	"fmt"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	containers       = 50
	firstPort        = 20000
	host4, outside4  = "203.0.113.2", "203.0.113.9"
	subnet4, subnet6 = "10.72.0.0/24", "fd72::/64"
)

var (
	// attachTime is for all ADDs, or all DELs: a second or two where the machine has
	// nothing else to do.
	attachTime = stage.Slow() * 30 * time.Second
	patience   = stage.Slow() * 5 * time.Second
)

// crowd is a host with an outside and containers.
type crowd struct {
	t             *testing.T
	host, outside *stage.Space
	boxes         []*stage.Space
	net           *stage.Network
	data          string
}

func newCrowd(t *testing.T, bin string) *crowd {
	t.Helper()
	c := &crowd{t: t, host: stage.OpenSpace(t, "crowd"), outside: stage.OpenSpace(t, "outside"), data: t.TempDir()}
	for _, s := range []*stage.Space{c.host, c.outside} {
		// Duplicate address detection changes the state for 1-2 s.
		if err := s.SetSysctl("net/ipv6/conf/default/accept_dad", "0"); err != nil {
			t.Fatal(err)
		}
	}
	if err := stage.Wire(c.host, "uplink", host4+"/24", c.outside, "eth0", outside4+"/24"); err != nil {
		t.Fatal(err)
	}
	for i := range containers {
		box := stage.OpenSpace(t, fmt.Sprintf("box%d", i))
		server, err := box.Serve("tcp", "0.0.0.0:80")
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = server.Close() })
		c.boxes = append(c.boxes, box)
	}
	ipam := hostLocal(filepath.Join(c.data, "leases"), subnet4)
	ipam["ranges"] = [][]object{{{"subnet": subnet4}}, {{"subnet": subnet6}}}
	list := encode(object{"cniVersion": "1.1.0", "name": "crowd", "plugins": []object{
		{"type": "bridge", "bridge": "crowd0", "isDefaultGateway": true, "ipMasq": true, "ipam": ipam},
		{"type": "portmap", "capabilities": object{"portMappings": true}},
	}})
	var err error
	if c.net, err = c.host.Network(list, bin, filepath.Join(c.data, "cache")); err != nil {
		t.Fatal(err)
	}
	return c
}

func ports(i int) []map[string]any {
	return []map[string]any{{"hostPort": firstPort + i, "containerPort": 80, "protocol": "tcp"}}
}

// timed runs one call for each container at the same time.
func (c *crowd) timed(what string, do func(i int) error) {
	c.t.Helper()
	errs := make([]error, containers)
	begin := time.Now()
	all(containers, func(i int) { errs[i] = do(i) })
	took := time.Since(begin)
	for _, err := range errs {
		if err != nil {
			c.t.Error(err)
		}
	}
	if took > attachTime {
		c.t.Errorf("%s took %v, want below %v", what, took, attachTime)
	}
	fmt.Printf("swarm: %d %s at once: %v\n", containers, what, took.Round(time.Millisecond))
}

// testAttachments brings up 50 containers at once on a host where nothing exists yet.
func testAttachments(t *testing.T, bin string) {
	c := newCrowd(t, bin)
	before := c.snap()
	addresses := make([]string, containers)
	c.timed("ADDs of bridge and portmap", func(i int) error {
		result, err := c.net.Add(fmt.Sprintf("c%d", i), c.boxes[i].Path, "eth0", ports(i))
		if err == nil {
			addresses[i] = result.IPs[0].Address.IP.String() + " " + result.IPs[1].Address.IP.String()
		}
		return err
	})
	holder := make(map[string]int)
	for i, text := range addresses {
		for addr := range strings.FieldsSeq(text) {
			if other, taken := holder[addr]; taken {
				t.Errorf("containers %d and %d both have %s", other, i, addr)
			}
			holder[addr] = i
		}
	}
	for i := range containers {
		target := net.JoinHostPort(host4, fmt.Sprint(firstPort+i))
		seen, err := c.outside.Ask("tcp", target, patience)
		if client, _, _ := net.SplitHostPort(seen); err != nil || client != outside4 {
			t.Errorf("port of container %d: sees %q, %v, want %s", i, seen, err, outside4)
		}
	}
	c.timed("DELs of bridge and portmap", func(i int) error {
		return c.net.Del(fmt.Sprintf("c%d", i), c.boxes[i].Path, "eth0", ports(i))
	})
	if err := c.net.GC(nil); err != nil {
		t.Error(err)
	}
	c.expectEqual(before)
}

// snap is the state of the host and its leases, less what is kept by design.
func (c *crowd) snap() snapshot.Snapshot {
	c.t.Helper()
	state, err := snapshot.Take(c.host.NS, filepath.Join(c.data, "leases"))
	if err != nil {
		c.t.Fatal(err)
	}
	return state.WithoutKept()
}

func (c *crowd) expectEqual(before snapshot.Snapshot) {
	c.t.Helper()
	var diff []string
	for end := time.Now().Add(patience); time.Now().Before(end); time.Sleep(50 * time.Millisecond) {
		if diff = snapshot.Diff(before, c.snap()); len(diff) == 0 {
			return
		}
	}
	c.t.Errorf("left behind, or lost:\n%s", strings.Join(diff, "\n"))
}
