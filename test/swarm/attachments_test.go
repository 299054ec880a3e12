package swarm

import (
	"fmt"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	containers       = 50
	firstPort        = 20000
	subnet4, subnet6 = "10.72.0.0/24", "fd72::/64"
)

var (
	// attachTime is for all ADDs, or all DELs: a second or two where the machine has
	// nothing else to do.
	attachTime = stage.Slow() * 30 * time.Second
	patience   = stage.Slow() * 5 * time.Second
)

// crowd is a stage with containers.
type crowd struct {
	*stage.Stage
	boxes []*stage.Box
	net   *stage.Network
}

// newCrowd makes the containers.
func newCrowd(s *stage.Stage, n int) *crowd {
	s.Helper()
	s.Burial = patience
	c := &crowd{Stage: s}
	for range n {
		c.boxes = append(c.boxes, s.Container())
	}
	return c
}

func ports(i int) []map[string]any {
	return []map[string]any{stage.Port("tcp", firstPort+i, 80)}
}

// timed runs one call for each container at the same time.
func (c *crowd) timed(what string, do func(i int) error) {
	c.Helper()
	errs := make([]error, containers)
	begin := time.Now()
	all(containers, func(i int) { errs[i] = do(i) })
	took := time.Since(begin)
	for _, err := range errs {
		if err != nil {
			c.Error(err)
		}
	}
	if took > attachTime {
		c.Error(what, " took ", took, ", want below ", attachTime)
	}
	fmt.Printf("swarm: %d %s at once: %v\n", containers, what, took.Round(time.Millisecond))
}

// testAttachments brings up 50 containers at once on a host where nothing exists yet.
func testAttachments(t *testing.T) {
	c := newCrowd(stage.NewStage(t), containers)
	for _, box := range c.boxes {
		stage.Serve(box.Space, "tcp", 80)
	}
	bridge := c.Bridge(subnet4, subnet6).With(stage.Conf{"name": "crowd", "bridge": "crowd0"})
	c.net = c.Network(stage.List(bridge, stage.Portmap()))
	before := c.Snap()
	addresses := make([]string, containers)
	c.timed("ADDs of bridge and portmap", func(i int) error {
		result, err := c.net.Add(c.boxes[i].ID, c.boxes[i].Path, "eth0", ports(i))
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
		target := net.JoinHostPort(stage.HostV4, fmt.Sprint(firstPort+i))
		seen, err := c.Outside.Ask("tcp", target, patience)
		if client, _, _ := net.SplitHostPort(seen); err != nil || client != stage.OutsideV4 {
			t.Errorf("port of container %d: sees %q, %v, want %s", i, seen, err, stage.OutsideV4)
		}
	}
	c.timed("DELs of bridge and portmap", func(i int) error {
		return c.net.Del(c.boxes[i].ID, c.boxes[i].Path, "eth0", ports(i))
	})
	if err := c.net.GC(nil); err != nil {
		t.Error(err)
	}
	c.ExpectEqual(before)
}
