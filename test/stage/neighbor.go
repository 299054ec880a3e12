package stage

import (
	"fmt"
	"slices"
	"strings"

	"github.com/vishvananda/netlink"
)

var neighborStates = []struct {
	bit  int
	name string
}{
	{netlink.NUD_INCOMPLETE, "INCOMPLETE"},
	{netlink.NUD_REACHABLE, "REACHABLE"},
	{netlink.NUD_STALE, "STALE"},
	{netlink.NUD_DELAY, "DELAY"},
	{netlink.NUD_PROBE, "PROBE"},
	{netlink.NUD_FAILED, "FAILED"},
	{netlink.NUD_NOARP, "NOARP"},
	{netlink.NUD_PERMANENT, "PERMANENT"},
}

// Neighbors lists the ARP and neighbour discovery entries of a link, sorted, as
// "192.168.15.2 lladdr 0a:58:c0:a8:0f:02 REACHABLE". As with `ip neigh`, entries
// that need no resolution (multicast) are left out.
func (s *Space) Neighbors(link string) ([]string, error) {
	var lines []string
	err := s.Do(func() error {
		l, err := netlink.LinkByName(link)
		if err != nil {
			return err
		}
		list, err := whole(func() ([]netlink.Neigh, error) { return netlink.NeighList(l.Attrs().Index, netlink.FAMILY_ALL) })
		for _, n := range list {
			if n.State&netlink.NUD_NOARP == 0 {
				lines = append(lines, neighborLine(n))
			}
		}
		return err
	})
	slices.Sort(lines)
	return lines, s.errorf(err, "neighbours of %s", link)
}

func neighborLine(n netlink.Neigh) string {
	line := n.IP.String()
	if len(n.HardwareAddr) > 0 {
		line += " lladdr " + n.HardwareAddr.String()
	}
	var states []string
	for _, state := range neighborStates {
		if n.State&state.bit != 0 {
			states = append(states, state.name)
		}
	}
	if states == nil {
		return fmt.Sprintf("%s state %#x", line, n.State)
	}
	return line + " " + strings.Join(states, ",")
}
