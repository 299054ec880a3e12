package main

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	"github.com/vishvananda/netlink"
)

// newFloorHost is a host for the C program: a bridge with the gateway's address, and a
// table with the map and the set that it puts elements into.
func (r *rig) newFloorHost(label string) (*host, error) {
	r.spaces++
	space, err := stage.NewSpace(fmt.Sprintf("h%d", r.spaces))
	if err != nil {
		return nil, err
	}
	h := &host{variant: variant{name: floorName}, rig: r, space: space, path: os.Getenv("PATH"), dir: filepath.Join(r.dir, label, "floor")}
	if err := os.MkdirAll(filepath.Join(h.leases(), networkName), 0o755); err != nil {
		return nil, err
	}
	return h, space.Do(func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: bridgeName, Flags: net.FlagUp}}
		if err := netlink.LinkAdd(bridge); err != nil {
			return err
		}
		h.bridge = bridge.Index
		addr, err := netlink.ParseAddr(gateway4 + "/16")
		if err != nil {
			return err
		}
		if err := netlink.AddrAdd(bridge, addr); err != nil {
			return err
		}
		return floorTable()
	})
}

func floorTable() error {
	c, err := nftables.New()
	if err != nil {
		return err
	}
	table := c.AddTable(&nftables.Table{Name: "floor", Family: nftables.TableFamilyINet})
	key, err := nftables.ConcatSetType(nftables.TypeInetProto, nftables.TypeInetService)
	if err != nil {
		return err
	}
	target, err := nftables.ConcatSetType(nftables.TypeIPAddr, nftables.TypeInetService)
	if err != nil {
		return err
	}
	if err := c.AddSet(&nftables.Set{Table: table, Name: "ports", IsMap: true, KeyType: key, DataType: target}, nil); err != nil {
		return err
	}
	if err := c.AddSet(&nftables.Set{Table: table, Name: "sources", KeyType: nftables.TypeIPAddr}, nil); err != nil {
		return err
	}
	return c.Flush()
}

// callFloor runs the C program for the two verbs it knows.
func (h *host) callFloor(verb string, a attachment) (*meter, error) {
	link, lease := fmt.Sprintf("veth%08x", a.number), filepath.Join(h.leases(), networkName, a.address().String())
	args := []string{"del", link, a.address().String(), lease}
	if verb == "ADD" {
		args = []string{"add", a.netns, link, strconv.Itoa(h.bridge), a.address().String(), gateway4, lease}
	}
	for i := range a.ports {
		args = append(args, strconv.Itoa(a.hostPort(i)))
	}
	return h.measured("floor", exec.Command(h.rig.floor, args...))
}

// callEmpty runs the Go program that does nothing.
func (h *host) callEmpty() (*meter, error) { return h.measured("empty", exec.Command(h.rig.empty)) }

func (h *host) measured(name string, cmd *exec.Cmd) (*meter, error) {
	var cost spent
	err := h.space.Do(func() (err error) {
		cost, err = measure(cmd)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("%q: %w", cmd.Args, err)
	}
	return &meter{spent: cost, each: map[string]spent{name: cost}}, nil
}
