package nft

import (
	"net/netip"
	"slices"
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

// vips are the elements to delete and to add, so that the sets of services' addresses
// hold exactly these.
func (c *Conn) vips(devices map[netip.Addr]string) (del, add []Element, err error) {
	have := make(map[netip.Addr]bool)
	for _, set := range []string{vips4, vips6} {
		list, err := c.List(set)
		if err != nil {
			return nil, nil, err
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
	slices.SortFunc(add, func(a, b Element) int { return slices.Compare(a.Key, b.Key) })
	return del, add, nil
}
