package walk

import (
	"fmt"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// ways of publishing ports.
const (
	noPorts = ""
	chained = "chained"
	// inside is bridge publishing them itself, with a portmap behind it.
	inside = "inside"
)

// network is one configuration list of the host.
type network struct {
	name, bridge     string
	subnets          []netip.Prefix // none: layer 2
	pool             int            // IPv4 addresses to hand out; 0 for all
	gateway          string         // key of the bridge that is true; "" for none
	masq             bool
	hairpin, isolate bool
	confined         bool // where its containers may send
	mtu              int
	publish          string
}

// newNetwork invents a network for a slot. Slots 0 and 1 share a bridge, and so do 3
// and 4.
func (w *world) newNetwork(slot int) *network {
	w.made++
	v4 := netip.MustParsePrefix(fmt.Sprintf("10.%d.0.0/24", 100+w.made))
	v6 := netip.MustParsePrefix(fmt.Sprintf("fd00:%x::/64", w.made))
	n := &network{
		name:    fmt.Sprintf("net%d", w.made),
		bridge:  []string{"walk0", "walk0", "walk1", "walk2", "walk2"}[slot],
		subnets: pick(w, [][]netip.Prefix{{v4}, {v4}, {v6}, {v4, v6}, {v4, v6}, nil}),
	}
	if len(n.subnets) > 0 {
		n.gateway = pick(w, []string{"isDefaultGateway", "isDefaultGateway", "isGateway", ""})
		n.publish = pick(w, []string{noPorts, chained, chained, inside})
		n.pool = pick(w, []int{0, 0, 3})
	}
	w.change(n)
	return n
}

// change gives a network other settings, as an administrator does under containers.
func (w *world) change(n *network) {
	n.mtu = pick(w, []int{0, 0, 1400, 9000})
	n.hairpin = w.rng.IntN(2) == 0
	n.isolate = w.rng.IntN(4) == 0
	n.confined = n.gateway != "" && w.rng.IntN(3) == 0
	n.masq = n.gateway != "" && w.rng.IntN(3) > 0
	if n.publish != noPorts {
		n.publish = pick(w, []string{chained, inside})
	}
}

// plugins is the list as it is now.
func (n *network) plugins(dataDir string) []stage.Conf {
	b := stage.Conf{"type": "bridge", "bridge": n.bridge, "hairpinMode": n.hairpin, "portIsolation": n.isolate, "ipMasq": n.masq}
	if n.confined {
		b = b.With(stage.Confined())
	}
	if n.mtu > 0 {
		b["mtu"] = n.mtu
	}
	if n.gateway != "" {
		b[n.gateway] = true
	}
	if len(n.subnets) > 0 {
		b["ipam"] = n.ipam(dataDir)
	}
	publish := stage.Conf{"portMappings": true}
	if n.publish == inside {
		b["capabilities"] = publish
	}
	list := []stage.Conf{b}
	if n.publish != noPorts {
		list = append(list, stage.Portmap())
	}
	return list
}

func (n *network) ipam(dataDir string) stage.Conf {
	var sets [][]stage.Conf
	for _, s := range n.subnets {
		r := stage.Conf{"subnet": s.String()}
		if s.Addr().Is4() && n.pool > 0 {
			a := s.Addr().As4()
			r["rangeStart"] = netip.AddrFrom4([4]byte{a[0], a[1], 0, 10}).String()
			r["rangeEnd"] = netip.AddrFrom4([4]byte{a[0], a[1], 0, byte(9 + n.pool)}).String()
		}
		sets = append(sets, []stage.Conf{r})
	}
	return stage.Conf{"type": "host-local", "dataDir": dataDir, "ranges": sets}
}

func (n *network) has4() bool {
	return slices.ContainsFunc(n.subnets, func(p netip.Prefix) bool { return p.Addr().Is4() })
}

func (n *network) String() string {
	return fmt.Sprintf("%s(%s %v %s masq=%t mtu=%d hairpin=%t isolate=%t confined=%t publish=%s pool=%d)",
		n.name, n.bridge, n.subnets, n.gateway, n.masq, n.mtu, n.hairpin, n.isolate, n.confined, n.publish, n.pool)
}

// stdin is a plugin's configuration as a runtime sends it.
func (n *network) stdin(plugin stage.Conf, ports []map[string]any, more stage.Conf) []byte {
	c := plugin.With(stage.Conf{"name": n.name})
	if c["capabilities"] != nil && ports != nil {
		c["runtimeConfig"] = stage.Conf{"portMappings": ports}
	}
	return c.With(more).Stdin()
}

// pick is one of the list.
func pick[T any](w *world, list []T) T { return list[w.rng.IntN(len(list))] }
