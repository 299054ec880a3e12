package publish

import (
	"cmp"
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

// maxAllowed bounds a list of clients: a new connection is compared with each.
const maxAllowed = 1000

// allowed reads a list of clients. No list is nil, which allows everybody. An empty list
// allows nobody.
func allowed(key string, list *[]string) (*hostport.Allow, error) {
	if list == nil {
		return nil, nil
	}
	if len(*list) > maxAllowed {
		return nil, fmt.Errorf("%s: %d entries, at most %d are taken: merge neighbouring networks", key, len(*list), maxAllowed)
	}
	allow := &hostport.Allow{From: []netip.Prefix{}}
	for i, text := range *list {
		p, ok := prefix(text)
		if !ok {
			return nil, fmt.Errorf("%s[%d]: %q is neither a network, like 192.0.2.0/24, nor an address", key, i, text)
		}
		allow.From = append(allow.From, p)
	}
	return allow, nil
}

func prefix(text string) (netip.Prefix, bool) {
	if p, err := netip.ParsePrefix(text); err == nil {
		if p.Addr().Is4In6() {
			return netip.Prefix{}, false
		}
		return p.Masked(), true
	}
	a, err := netip.ParseAddr(text)
	if err != nil || a.Zone() != "" {
		return netip.Prefix{}, false
	}
	return netip.PrefixFrom(a.Unmap(), a.Unmap().BitLen()), true
}

// both are the clients that the network and the mapping allow.
func both(key string, network, mapping *hostport.Allow) (*hostport.Allow, error) {
	if network == nil || mapping == nil {
		return cmp.Or(mapping, network), nil
	}
	common := &hostport.Allow{}
	for _, a := range network.From {
		for _, b := range mapping.From {
			if !a.Overlaps(b) {
				continue
			}
			if a.Bits() > b.Bits() {
				b = a
			}
			common.From = append(common.From, b)
		}
	}
	if len(common.From) == 0 && len(network.From) > 0 && len(mapping.From) > 0 {
		return nil, fmt.Errorf("%s: no client is in this list and in the network's allowFrom, too", key)
	}
	if len(common.From) > maxAllowed {
		return nil, fmt.Errorf("%s: %d networks are in this list and in the network's allowFrom, at most %d are taken", key, len(common.From), maxAllowed)
	}
	return common, nil
}

// listenCheck is the answer to a process of the host that listens on the port.
type listenCheck int

const (
	warn listenCheck = iota
	strict
	off
)

func (w *wire) listenCheck() (listenCheck, error) {
	if w.HostPortCheck == nil {
		return warn, nil
	}
	i := slices.Index([]string{"warn", "strict", "off"}, *w.HostPortCheck)
	if i < 0 {
		return warn, fmt.Errorf("hostPortCheck: %q is none of \"warn\", \"strict\", \"off\"", *w.HostPortCheck)
	}
	return listenCheck(i), nil
}
