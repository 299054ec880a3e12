package attack_test

import (
	"context"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Victim is a container with what others know of it. The attacker is one too.
type Victim struct {
	*Box
	mac    net.HardwareAddr
	v4, v6 netip.Addr // invalid without one
	result *types100.Result
}

func (v *Victim) at(port uint16) netip.AddrPort { return netip.AddrPortFrom(v.v4, port) }

// join attaches a container with bridge alone.
func enter(s *Stage, c Conf) *Victim {
	GinkgoHelper()
	b, result := s.Attach(c)
	return known(b, result)
}

func known(b *Box, result *types100.Result) *Victim {
	GinkgoHelper()
	v := &Victim{Box: b, mac: MAC(b.Space, "eth0"), result: result}
	for _, ip := range result.IPs {
		a, _ := netip.AddrFromSlice(ip.Address.IP)
		if a = a.Unmap(); a.Is4() {
			v.v4 = a
		} else {
			v.v6 = a
		}
	}
	return v
}

// publish attaches a container with the chain of bridge and portmap.
func publish(s *Stage, bridge, portmap Conf, ports ...map[string]any) *Victim {
	GinkgoHelper()
	b := s.Container()
	return known(b, b.Add(s.Network(List(bridge, portmap)), ports...))
}

// reference is a stage with the reference plugins.
func reference() *Stage {
	GinkgoHelper()
	s := ours()
	s.Bin = Reference(GinkgoT(), "bridge", "portmap", "host-local")
	return s
}

// ours is a stage with the plugins under test. Bridged frames don't pass the host's IP
// rules: these must not be what stops an attack.
func ours() *Stage {
	GinkgoHelper()
	s := NewStage(GinkgoT())
	s.BridgeNetfilter("0")
	return s
}

// both is the usual network of two families.
func both(s *Stage) Conf { return s.Bridge(SubnetV4, SubnetV6) }

// disarm deletes a chain's rules, as if they had never been.
func disarm(host *Space, table *nftables.Table, chains ...string) {
	GinkgoHelper()
	Rules(host, func(c *nftables.Conn) error {
		for _, name := range chains {
			c.FlushChain(&nftables.Chain{Table: table, Name: name})
		}
		return nil
	})
}

func addr(text string) netip.Addr { return netip.MustParseAddr(text) }

// inbox is what a UDP service hears.
type inbox struct {
	mu   sync.Mutex
	got  []string
	from []net.Addr
}

func listen(s *Space, at string) *inbox {
	GinkgoHelper()
	box := &inbox{}
	var conn net.PacketConn
	Inside(s, func() (err error) {
		conn, err = (&net.ListenConfig{}).ListenPacket(context.Background(), "udp", at)
		return err
	})
	DeferCleanup(conn.Close)
	go func() {
		buf := make([]byte, 2048)
		for {
			n, from, err := conn.ReadFrom(buf)
			if err != nil {
				return
			}
			box.mu.Lock()
			box.got, box.from = append(box.got, string(buf[:n])), append(box.from, from)
			box.mu.Unlock()
		}
	}()
	return box
}

func (b *inbox) has(text string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, got := range b.got {
		if strings.Contains(got, text) {
			return true
		}
	}
	return false
}

// hears waits a little for a datagram with the text.
func (b *inbox) hears(text string) bool {
	for end := time.Now().Add(Haste); time.Now().Before(end); time.Sleep(5 * time.Millisecond) {
		if b.has(text) {
			return true
		}
	}
	return b.has(text)
}

// neighbor is the MAC address that a space has for an address; "" for none.
func neighbor(s *Space, link string, a netip.Addr) (mac string) {
	GinkgoHelper()
	for _, n := range NeighList(s, link, netlink.FAMILY_ALL) {
		if got, ok := netip.AddrFromSlice(n.IP); ok && got.Unmap() == a {
			mac = n.HardwareAddr.String()
		}
	}
	return mac
}

// learned is how many MAC addresses the bridge has learned from frames.
func learned(host *Space) (n int) {
	GinkgoHelper()
	for _, e := range NeighList(host, "", unix.AF_BRIDGE) {
		if e.State&(unix.NUD_PERMANENT|unix.NUD_NOARP) == 0 {
			n++
		}
	}
	return n
}

// pause lets the kernels work off what was sent.
func pause() { time.Sleep(50 * time.Millisecond) }
