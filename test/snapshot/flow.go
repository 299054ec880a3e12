package snapshot

import (
	"bufio"
	"fmt"
	"net"
	"net/netip"
	"os"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/vishvananda/netlink"
)

// Flows are the connections that the kernel tracks, a line each, to or from an address
// in one of the ranges. They are not part of a Snapshot: they come with traffic and go
// with time. Ports are left out, since clients choose theirs.
func Flows(ns *netns.NS, ranges ...netip.Prefix) (lines []string, err error) {
	err = ns.Do(func() error {
		for _, family := range []netlink.InetFamily{netlink.FAMILY_V4, netlink.FAMILY_V6} {
			flows, err := netlink.ConntrackTableList(netlink.ConntrackTable, family)
			if err != nil {
				return fmt.Errorf("snapshot: flows: %w", err)
			}
			for _, f := range flows {
				ends := []net.IP{f.Forward.SrcIP, f.Forward.DstIP, f.Reverse.SrcIP, f.Reverse.DstIP}
				if slices.ContainsFunc(ends, func(ip net.IP) bool { return within(ip, ranges) }) {
					lines = append(lines, fmt.Sprintf("flow %d %s to %s, answered by %s to %s", f.Forward.Protocol, ends[0], ends[1], ends[2], ends[3]))
				}
			}
		}
		return nil
	})
	slices.Sort(lines)
	return lines, err
}

func within(ip net.IP, ranges []netip.Prefix) bool {
	a, _ := netip.AddrFromSlice(ip) // the zero Addr is in no range
	return slices.ContainsFunc(ranges, func(p netip.Prefix) bool { return p.Contains(a.Unmap()) })
}

// Mounts are the mount points of namespaces in the caller's mount namespace: each keeps
// one alive, with all links in it.
func Mounts() ([]string, error) {
	f, err := os.Open("/proc/thread-self/mountinfo")
	if err != nil {
		return nil, fmt.Errorf("snapshot: mounts: %w", err)
	}
	defer f.Close()
	var points []string
	for in := bufio.NewScanner(f); in.Scan(); {
		// "36 35 0:4 net:[4026532177] /run/netns/x rw - nsfs nsfs rw", proc(5)
		before, after, _ := strings.Cut(in.Text(), " - ")
		if fields := strings.Fields(before); strings.HasPrefix(after, "nsfs ") && len(fields) > 4 {
			points = append(points, fields[4])
		}
	}
	slices.Sort(points)
	return points, nil
}
