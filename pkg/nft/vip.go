package nft

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/flock"
)

// The sets of addresses that are local, but not the host's: those of services.
const (
	vips4 = "vips4"
	vips6 = "vips6"
)

// vip is an address of a service, with the device that has it.
func vip(a netip.Addr, device string) Element {
	return Element{Set: "vips" + family(a), Key: a.AsSlice(), Comment: device, text: a.String()}
}

// SetVIPs makes the sets of services' addresses hold exactly these. The table must
// exist. Where nothing changed it only looks.
func (c *Conn) SetVIPs(devices map[netip.Addr]string) error {
	unlock, err := flock.Netns()
	if err != nil {
		return err
	}
	defer unlock.Close()
	var del, add []Element
	have := make(map[netip.Addr]bool)
	for _, set := range []string{vips4, vips6} {
		list, err := c.List(set)
		if err != nil {
			return err
		}
		for _, e := range list {
			a, _ := netip.AddrFromSlice(e.Key) // of the set's type
			have[a] = true
			if _, is := devices[a]; !is {
				del = append(del, e)
			}
		}
	}
	for a, device := range devices {
		if !have[a] {
			add = append(add, vip(a, device))
		}
	}
	if len(del) == 0 && len(add) == 0 {
		return nil
	}
	slices.SortFunc(add, func(a, b Element) int { return slices.Compare(a.Key, b.Key) })
	if err := c.queueElements(keys(del), c.nl.SetDeleteElements); err != nil {
		return err
	}
	if err := c.queueElements(add, c.nl.SetAddElements); err != nil {
		return err
	}
	if err := c.nl.Flush(); err != nil {
		return fmt.Errorf("rules: addresses of services: %w", err)
	}
	return nil
}
