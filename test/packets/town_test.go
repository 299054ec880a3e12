package packets_test

import (
	"errors"
	"net"
	"net/netip"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

const (
	hostV4, hostV6     = HostV4, HostV6
	secondV4, secondV6 = "192.0.2.2", "2001:db8:d::2"
	hostPort           = 8080
)

// backend is a way to write the rules.
type backend struct{ name, xtables string }

var backends = []backend{{"nftables", ""}, {"iptables", "nft"}, {"iptables", "legacy"}}

func (b backend) String() string {
	if b.xtables == "" {
		return b.name
	}
	return b.name + "-" + b.xtables
}

// addr is an address of each family.
type addr struct{ v4, v6 string }

func (a addr) of(ipv6 bool) string {
	if ipv6 {
		return a.v6
	}
	return a.v4
}

// person is a client.
type person struct {
	space   *Space
	own     addr
	gateway addr // by which it asks
	from    addr // "" where the kernel chooses
}

// town is a host with a published container, and all clients.
type town struct {
	*Stage
	server  *Box
	people  map[string]person
	backend backend
}

var subnets = []addr{{SubnetV4, SubnetV6}, {"10.61.0.0/24", "fd61::/64"}, {"10.62.0.0/24", "fd62::/64"}}

// newTown publishes port 80 of a container for each protocol.
func newTown(bin string, b backend, ip hostIP, f flag, protocols []string) *town {
	GinkgoHelper()
	t := &town{Stage: NewStage(GinkgoT()), backend: b}
	if bin != "" {
		t.Bin = bin
	}
	if b.xtables != "" {
		NewXtables(t.Stage, b.xtables)
	}
	t.prepareHost()
	lan := t.network(0)
	var result any
	t.server = t.container(bin)
	result = t.Add(t.server, lan)
	t.people = map[string]person{
		host:       {space: t.Host, gateway: addr{GatewayV4, GatewayV6}},
		itself:     {space: t.server.Space, gateway: addr{GatewayV4, GatewayV6}, own: addr{FirstV4, FirstV6}},
		outside:    {space: t.Outside, gateway: addr{GatewayV4, GatewayV6}, own: addr{OutsideV4, OutsideV6}},
		farOutside: {space: t.Outside, gateway: addr{GatewayV4, GatewayV6}, own: addr{FarV4, FarV6}, from: addr{FarV4, FarV6}},
	}
	for name, n := range map[string]Conf{neighbour: lan, stranger: t.network(1), unmasked: t.network(2).With(Conf{"ipMasq": false})} {
		box := t.container(bin)
		r := t.Add(box, n)
		t.people[name] = person{
			space: box.Space, own: addr{r.IPs[0].Address.IP.String(), r.IPs[1].Address.IP.String()},
			gateway: addr{r.IPs[0].Gateway.String(), r.IPs[1].Gateway.String()},
		}
	}
	ports := Portmap().With(f.config).With(Conf{
		"backend": b.name, "prevResult": result, "runtimeConfig": Conf{"portMappings": ip.mappings(protocols)},
	})
	ExpectOK("ADD", t.Call(t.server, "ADD", ports))
	if bin == "" {
		ExpectOK("CHECK", t.Call(t.server, "CHECK", ports))
	}
	for _, p := range protocols {
		Serve(t.server.Space, p, 80)
	}
	return t
}

// container makes one. The reference waits for duplicate address detection, and on a busy
// machine not long enough.
func (t *town) container(reference string) *Box {
	GinkgoHelper()
	b := t.Container()
	if reference != "" {
		Expect(b.SetSysctl("net/ipv6/conf/default/accept_dad", "0")).To(Succeed())
	}
	return b
}

// network is one of the bridges.
func (t *town) network(i int) Conf {
	names := []string{NetworkName, "wan", "raw"}
	return t.Bridge(subnets[i].v4, subnets[i].v6).With(Conf{
		"name": names[i], "bridge": names[i] + "0", "hairpinMode": true, "ipMasqBackend": t.backend.name,
	})
}

func (t *town) prepareHost() {
	GinkgoHelper()
	for _, text := range []string{secondV4 + "/24", secondV6 + "/64"} {
		a := ParseAddr(text)
		a.Flags = unix.IFA_F_NODAD
		Change(t.Host, "uplink", func(l netlink.Link) error { return netlink.AddrAdd(l, a) })
	}
	// Every refusal must be told, not one in a second.
	Expect(t.Host.SetSysctl("net/ipv4/icmp_ratemask", "0")).To(Succeed())
	Expect(t.Host.SetSysctl("net/ipv6/icmp/ratelimit", "0")).To(Succeed())
	for _, dst := range []string{SubnetV4, secondV4 + "/32"} {
		Expect(t.Outside.Route(dst, HostV4)).To(Succeed())
	}
	for _, dst := range []string{SubnetV6, secondV6 + "/128"} {
		Expect(t.Outside.Route(dst, HostV6)).To(Succeed())
	}
}

func (ip hostIP) mappings(protocols []string) (list []map[string]any) {
	for _, p := range protocols {
		if ip.v4 == "" {
			list = append(list, Port(p, hostPort, 80))
			continue
		}
		for _, a := range []string{ip.v4, ip.v6} {
			m := Port(p, hostPort, 80)
			m["hostIP"] = a
			list = append(list, m)
		}
	}
	return list
}

// asks is the address that the client of a cell asks by.
func (t *town) asks(c cell) string {
	return map[string]addr{
		uplink: {hostV4, hostV6}, second: {secondV4, secondV6}, gateway: t.people[c.client].gateway, loopback: {"127.0.0.1", "::1"},
	}[c.by].of(c.ipv6)
}

// wants is the answer that the cell says, with the address that it means.
func (t *town) wants(c cell) string {
	switch c.want {
	case own:
		return t.people[c.client].own.of(c.ipv6)
	case bridge:
		return addr{GatewayV4, GatewayV6}.of(c.ipv6)
	case asIs:
		return t.asks(c)
	}
	return c.want
}

// meaning is the table's word for an answer, the nearest one where several mean it.
func (t *town) meaning(c cell, got string) string {
	for _, word := range []string{bridge, own, asIs} {
		c.want = word
		if got == t.wants(c) {
			return word
		}
	}
	return got
}

// ask is what comes of asking: the address that the container sees, silence, refused,
// or an error that the table does not know.
func (t *town) ask(c cell, patience time.Duration) string {
	p := t.people[c.client]
	got, err := p.space.AskFrom(c.protocol, p.from.of(c.ipv6), net.JoinHostPort(t.asks(c), "8080"), patience)
	var timed net.Error
	switch {
	case errors.Is(err, unix.ECONNREFUSED):
		return refused
	case errors.As(err, &timed) && timed.Timeout(), errors.Is(err, unix.EINVAL) && c.by == loopback: // there is no route from 127.0.0.1
		return silence
	case err != nil:
		return err.Error()
	}
	return netip.MustParseAddrPort(got).Addr().Unmap().String()
}
