package differential

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/vishvananda/netlink"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	ifName             = "eth0"
	host4, host6       = "203.0.113.2", "2001:db8:f::2"
	outside4, outside6 = "203.0.113.9", "2001:db8:f::9"
)

// twin is one of the two sides that get the same configuration.
type twin struct {
	c             *configuration
	bin           string
	dir           string // of this side alone
	resolv        string
	host, outside *stage.Space
	boxes         []*stage.Space
	server        []*stage.Server
	answers       []stage.Answer // of each container's ADD
	calls         facts          // how each call ended
	names         map[string]string
}

// newTwin makes a host, an outside that knows the way to the containers, and the
// containers. prefix makes the names of spaces unique; the plugins never see them.
func newTwin(c *configuration, prefix, bin, dir, resolv string) (w *twin, err error) {
	w = &twin{
		c: c, bin: bin, dir: dir, resolv: resolv, calls: make(facts), names: make(map[string]string),
		answers: make([]stage.Answer, c.boxes),
	}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close())
		}
	}()
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return w, err
	}
	if w.host, err = stage.NewSpace(prefix + "host"); err != nil {
		return w, err
	}
	if w.outside, err = stage.NewSpace(prefix + "out"); err != nil {
		return w, err
	}
	for i := range c.boxes {
		box, err := stage.NewSpace(fmt.Sprintf("%sbox%d", prefix, i+1))
		if err != nil {
			return w, err
		}
		w.boxes = append(w.boxes, box)
	}
	return w, errors.Join(w.wire(), w.prepare())
}

func (w *twin) close() error {
	var errs []error
	for _, s := range w.server {
		errs = append(errs, s.Close())
	}
	for _, s := range append(slices.Clone(w.boxes), w.host, w.outside) {
		if s != nil {
			errs = append(errs, s.Close())
		}
	}
	return errors.Join(errs...)
}

func (w *twin) data() string { return filepath.Join(w.dir, "leases") }

// wire connects host and outside.
func (w *twin) wire() error {
	for _, s := range []*stage.Space{w.host, w.outside} {
		// The host's links need no duplicate address detection, which takes 1-2 s.
		// The containers' own setting stays, for the plugins to change.
		if err := s.SetSysctl("net/ipv6/conf/default/accept_dad", "0"); err != nil {
			return err
		}
	}
	err := stage.Wire(w.host, "uplink", host4+"/24,"+host6+"/64", w.outside, "eth0", outside4+"/24,"+outside6+"/64")
	if err != nil {
		return err
	}
	w.names[macOf(w.host, "uplink").String()] = "MAC(uplink)"
	for _, s := range w.c.sets {
		via, listen := host6, "[::]:80"
		if s.is4() {
			via, listen = host4, "0.0.0.0:80"
		}
		if err := w.outside.Route(s.subnet.String(), via); err != nil {
			return err
		}
		if server, err := w.outside.Serve("tcp", listen); err == nil { // a second set of the family has it
			w.server = append(w.server, server)
		}
	}
	return nil
}

// prepare makes what is there before.
func (w *twin) prepare() error {
	var addrs []string
	switch w.c.setup {
	case "":
		return nil
	case "device":
		return w.host.Do(func() error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: w.c.bridgeName(), HardwareAddr: net.HardwareAddr{2, 0x61, 0, 0, 0, 0xbb}},
				PeerName:  "peer", PeerHardwareAddr: net.HardwareAddr{2, 0x61, 0, 0, 0, 0xbc},
			})
		})
	case "foreign": // another network's, and one that overlaps with ours
		addrs = []string{"10.99.0.1/24", "fd61::99/60", "fd99::1/64"}
	case "gateway":
		for _, s := range w.c.sets {
			addrs = append(addrs, fmt.Sprintf("%s/%d", s.gateway, s.subnet.Bits()))
		}
	}
	return w.host.Do(func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: w.c.bridgeName(), HardwareAddr: net.HardwareAddr{2, 0x61, 0, 0, 0, 0xbb}}}
		if err := errors.Join(netlink.LinkAdd(bridge), netlink.LinkSetUp(bridge)); err != nil {
			return err
		}
		for _, text := range addrs {
			addr, err := netlink.ParseAddr(text)
			if err != nil {
				return err
			}
			if err := netlink.AddrAdd(bridge, addr); err != nil {
				return err
			}
		}
		return nil
	})
}

// learn notes what the side has chosen for an attachment.
func (w *twin) learn(i int) error {
	inside, name, outside, err := ends(w.host, w.boxes[i])
	if err != nil {
		return err
	}
	n := i + 1
	w.names[w.boxes[i].Path] = fmt.Sprintf("SANDBOX%d", n)
	w.names[name] = fmt.Sprintf("VETH%d", n)
	w.names[outside.String()] = fmt.Sprintf("MAC(VETH%d)", n)
	w.names[inside.String()] = macText(inside)
	w.learnBridge()
	return w.learnGateway()
}

// learnBridge notes the bridge's address. A bridge without one of its own has that of
// one of its ports.
func (w *twin) learnBridge() {
	mac := macOf(w.host, w.c.bridgeName()).String()
	if _, known := w.names[mac]; !known && mac != "" && mac != "00:00:00:00:00:00" {
		w.names[mac] = "MAC(bridge)"
	}
}

// learnGateway notes the link that a VLAN's gateway has, and its other end, a port of
// the bridge.
func (w *twin) learnGateway() error {
	vlan, _ := w.c.keys["vlan"].(int)
	if vlan == 0 || !w.c.flag("isGateway") {
		return nil
	}
	return w.host.Do(func() error {
		link, err := netlink.LinkByName(fmt.Sprintf("%s.%d", w.c.bridgeName(), vlan))
		if err != nil {
			return err
		}
		port, err := netlink.LinkByIndex(link.Attrs().ParentIndex)
		if err != nil {
			return err
		}
		w.names[link.Attrs().HardwareAddr.String()] = "MAC(gateway)"
		w.names[port.Attrs().HardwareAddr.String()] = "MAC(VETH0)"
		w.names[port.Attrs().Name] = "VETH0"
		return nil
	})
}

// observe is the state of everything, in words that both sides share.
func (w *twin) observe(when string) (facts, error) {
	w.learnBridge()
	f := make(facts)
	err := f.take(when+" host", w.host, w.data())
	for i, box := range w.boxes {
		err = errors.Join(err, f.take(fmt.Sprintf("%s container %d", when, i+1), box))
	}
	f = f.rename(w.names)
	if w.c.flag("disableContainerInterface") {
		// No port has carrier. On Linux 6.1 one that is made up and with its master at
		// once has it for an instant, long enough for the bridge's link-local address.
		maps.DeleteFunc(f, func(key, _ string) bool { return bridgeLocal.MatchString(key) })
	}
	return f, err
}

// results are the answers to ADD.
func (w *twin) results() facts {
	f := make(facts)
	for i, a := range w.answers {
		f.result(fmt.Sprintf("result %d", i+1), a.Stdout)
	}
	return f.rename(w.names)
}

// traffic says as whom the outside sees each container.
func (w *twin) traffic() facts {
	f := make(facts)
	if !w.c.flag("isDefaultGateway") {
		return f
	}
	for i, box := range w.boxes {
		for _, s := range w.c.sets {
			target := net.JoinHostPort(outside6, "80")
			if s.is4() {
				target = net.JoinHostPort(outside4, "80")
			}
			seen, err := box.Ask("tcp", target, stage.Slow()*2*time.Second)
			from, _, _ := net.SplitHostPort(seen)
			switch {
			case err != nil:
				from = failed(err.Error())
			case from == host4 || from == host6:
				from = "the host"
			}
			f[fmt.Sprintf("traffic of container %d to %s", i+1, target)] = from
		}
	}
	return f
}
