package differential

import (
	"errors"
	"fmt"
	"maps"
	"net"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

const ifName = "eth0"

// twin is one of the two sides that get the same configuration.
type twin struct {
	*stage.Stage
	c       *configuration
	resolv  string
	boxes   []*stage.Box
	answers []stage.Answer // of each container's ADD
	calls   facts          // how each call ended
	names   map[string]string
}

// newTwin makes a stage, whose outside knows the way to the containers, and the
// containers. Their own setting of duplicate address detection stays, for the plugins to
// change.
func newTwin(t *testing.T, c *configuration, bin, resolv string) *twin {
	t.Helper()
	w := &twin{
		Stage: stage.NewStage(t), c: c, resolv: resolv, calls: make(facts), names: make(map[string]string),
		answers: make([]stage.Answer, c.boxes),
	}
	w.Bin = bin
	for range c.boxes {
		w.boxes = append(w.boxes, w.Container())
	}
	w.names[macOf(w.Host, "uplink").String()] = "MAC(uplink)"
	for _, s := range c.sets {
		via := stage.HostV6
		if s.is4() {
			via = stage.HostV4
		}
		w.Must(w.Outside.Route(s.subnet.String(), via))
	}
	stage.Serve(w.Outside, "tcp", 80)
	w.Must(w.prepare())
	return w
}

// prepare makes what is there before.
func (w *twin) prepare() error {
	var addrs []string
	switch w.c.setup {
	case "":
		return nil
	case "device":
		return w.Host.Do(func() error {
			return netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: w.c.bridgeName(), HardwareAddr: net.HardwareAddr{2, 0x61, 0, 0, 0, 0xbb}},
				PeerName:  "peer", PeerHardwareAddr: net.HardwareAddr{2, 0x61, 0, 0, 0, 0xbc},
			})
		})
	case "foreign": // another network's, and one that overlaps with ours
		addrs = []string{"10.99.0.1/24", "fd61::99/60", "fd99::1/64"}
	case "gateway", "floating gateway", "zeroed gateway":
		for _, s := range w.c.sets {
			addrs = append(addrs, fmt.Sprintf("%s/%d", s.gateway, s.subnet.Bits()))
		}
	}
	return w.Host.Do(func() error {
		bridge := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: w.c.bridgeName(), HardwareAddr: net.HardwareAddr{2, 0x61, 0, 0, 0, 0xbb}}}
		kind, _, _ := strings.Cut(w.c.setup, " ")
		loose := kind == "floating" || kind == "zeroed"
		if loose {
			bridge.HardwareAddr = nil
		}
		if err := errors.Join(netlink.LinkAdd(bridge), netlink.LinkSetUp(bridge)); err != nil {
			return err
		}
		if loose {
			if err := plugIn(bridge, kind == "zeroed"); err != nil {
				return err
			}
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

// plugIn gives the bridge a port of somebody else, whose MAC address is above all others, and may take
// it away again: then the bridge has no MAC address (br_stp_recalculate_bridge_id).
func plugIn(bridge netlink.Link, andOut bool) error {
	port := &netlink.Veth{
		LinkAttrs: netlink.LinkAttrs{Name: "other", HardwareAddr: net.HardwareAddr{0xfe, 0xff, 0xff, 0, 0, 1}},
		PeerName:  "otherpeer", PeerHardwareAddr: net.HardwareAddr{0xfe, 0xff, 0xff, 0, 0, 2},
	}
	err := errors.Join(netlink.LinkAdd(port), netlink.LinkSetMaster(port, bridge))
	if andOut {
		return errors.Join(err, netlink.LinkDel(port))
	}
	return err
}

// learn notes what the side has chosen for an attachment.
func (w *twin) learn(i int) error {
	inside, name, outside, err := ends(w.Host, w.boxes[i].Space)
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
	mac := macOf(w.Host, w.c.bridgeName()).String()
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
	return w.Host.Do(func() error {
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
	err := f.take(when+" host", w.Host, w.Data())
	for i, box := range w.boxes {
		err = errors.Join(err, f.take(fmt.Sprintf("%s container %d", when, i+1), box.Space))
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
			target := net.JoinHostPort(stage.OutsideV6, "80")
			if s.is4() {
				target = net.JoinHostPort(stage.OutsideV4, "80")
			}
			seen, err := box.Ask("tcp", target, stage.Slow()*2*time.Second)
			from, _, _ := net.SplitHostPort(seen)
			switch {
			case err != nil:
				from = failed(err.Error())
			case from == stage.HostV4 || from == stage.HostV6:
				from = "the host"
			}
			f[fmt.Sprintf("traffic of container %d to %s", i+1, target)] = from
		}
	}
	return f
}
