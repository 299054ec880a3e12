// Package bridge is the bridge plugin: a container gets a link, whose other end is
// a port of a bridge on the host.
package bridge

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/ipam"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/kernel"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
	"github.com/bridgeport-cni/bridgeport/plugins/hostlocal"
	"github.com/bridgeport-cni/bridgeport/plugins/portmap"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// Plugin is the verbs of bridge.
func Plugin() cni.Plugin {
	return cni.Plugin{
		Name: "bridge", About: "containers on a Linux bridge, with gateway, masquerade and host-local addresses",
		Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del,
	}
}

// Add attaches the container. On error nothing of the attachment is left: no link,
// lease, address or rule.
func Add(req *cni.Request) (_ *current.Result, err error) {
	c, err := parse(req)
	if err != nil {
		return nil, err
	}
	ports, err := portmap.Publish(req)
	if err != nil {
		return nil, err
	}
	pool, err := newIPAM(req, c)
	if err != nil {
		return nil, err
	}
	ns, err := openNetns(req)
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	h, err := kernel.Open(ns)
	if err != nil {
		return nil, cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	in, err := prepare(req, c, h)
	if err != nil {
		return nil, coded(err)
	}
	lease := &current.Result{}
	if pool != nil {
		if lease, err = pool.Add(req); err != nil {
			return nil, err
		}
	}
	in.take(lease)
	err = errors.Join(in.fits(), in.publish(ports))
	if err == nil {
		err = in.plan().Add(h)
	}
	if err != nil {
		if pool != nil {
			err = errors.Join(err, pool.Del(req))
		}
		return nil, coded(err)
	}
	return in.result(req, lease.DNS), nil
}

// newIPAM is nil for a layer 2 network.
func newIPAM(req *cni.Request, c *Conf) (*ipam.IPAM, error) {
	if c.IPAM == "" {
		return nil, nil
	}
	pool, err := ipam.New(req, c.IPAM, hostlocal.Plugin())
	if err != nil {
		return nil, err
	}
	if pool.InProcess() {
		// Before the kernel is touched; leases are taken only after.
		if _, err := hostlocal.Parse(req); err != nil {
			return nil, err
		}
	}
	return pool, nil
}

// openNetns refuses the host's own namespace, where CNI_IFNAME would be one of the
// host's links.
func openNetns(req *cni.Request) (*netns.NS, error) {
	ns, err := netns.Open(req.Netns)
	if err != nil {
		return nil, cni.Errorf(cni.CodeNetns, "CNI_NETNS: %w", err)
	}
	host, err := netns.Current()
	if err != nil {
		return nil, errors.Join(cni.Errorf(cni.CodeNetns, "host: %w", err), ns.Close())
	}
	defer host.Close()
	if host.Ino() == ns.Ino() && !req.Override {
		_ = ns.Close() // read-only
		return nil, cni.Errorf(cni.CodeNetns, "CNI_NETNS: %s is the host's own network namespace: give the container's", req.Netns)
	}
	return ns, nil
}

func owner(req *cni.Request) kernel.Owner {
	return kernel.Owner{Network: req.Network, ContainerID: req.ContainerID, IfName: req.IfName, Pod: req.Args.Pod()}
}

// prepare looks at the bridge, and refuses early what can't end well.
func prepare(req *cni.Request, c *Conf, h *kernel.Host) (inputs, error) {
	facts, err := look(c, h)
	if err != nil {
		return inputs{}, err
	}
	o := owner(req)
	return inputs{conf: c, owner: o, facts: facts, mac: c.MAC}, h.Vacant(o)
}

// look reads what the plan needs of the host: the MTU of its way out, where the
// configuration leaves that to us, and the bridge.
func look(c *Conf, h *kernel.Host) (kernel.Facts, error) {
	if c.AutoMTU {
		mtu, err := h.UplinkMTU()
		if err != nil && !errors.Is(err, kernel.ErrNoUplink) {
			return kernel.Facts{}, fmt.Errorf("mtu: auto: %w", err)
		}
		c.MTU = mtu // without a way out, the bridge's
	}
	return kernel.Bridge{Name: c.Bridge, MTU: c.MTU}.Facts(h)
}

// take puts the lease into the plan's inputs: gateways where the IPAM plugin named
// none, the default route, and the container's MAC.
func (in *inputs) take(lease *current.Result) {
	in.ips, in.routes = lease.IPs, lease.Routes
	if in.conf.NoDefaultRoute {
		in.routes = slices.DeleteFunc(in.routes, func(r *types.Route) bool { return cni.Prefix(r.Dst).Bits() == 0 })
	}
	for _, ip := range in.ips {
		ip.Interface = current.Int(2)
		if ip.Gateway == nil && in.conf.IsGateway {
			ip.Gateway = net.IP(cni.Prefix(ip.Address).Masked().Addr().Next().AsSlice())
		}
		if in.conf.IsDefaultGateway {
			in.defaultRoute(cni.Addr(ip.Gateway))
		}
	}
	if in.mac == nil {
		var first net.IP
		if len(in.ips) > 0 {
			first = in.ips[0].Address.IP
		}
		in.mac = in.owner.ContainerMAC(first)
	}
}

// fits says whether the MTU has room for the families of the addresses: below 1,280
// bytes the kernel has no IPv6 on a link (addrconf_notify).
func (in *inputs) fits() error {
	for _, a := range in.addresses() {
		if !a.prefix.Addr().Is4() && in.mtu() < minMTU6 {
			return cni.Errorf(cni.CodeConfig, "mtu: %d is below %d bytes, which the IPv6 address %s needs", in.mtu(), minMTU6, a.prefix.Addr())
		}
	}
	return nil
}

// publish takes the ports into the plan.
func (in *inputs) publish(ports *portmap.Publication) (err error) {
	var addrs []netip.Prefix
	for _, a := range in.addresses() {
		addrs = append(addrs, a.prefix)
	}
	in.ports, err = ports.Plan(addrs, kernel.Towards{Link: in.outLink(), Bridge: in.outLink() == in.conf.Bridge})
	return err
}

// defaultRoute adds one through gw, unless the IPAM plugin gave one for the family.
func (in *inputs) defaultRoute(gw netip.Addr) {
	if !gw.IsValid() {
		return
	}
	for _, r := range in.routes {
		if p := cni.Prefix(r.Dst); p.Bits() == 0 && p.Addr().Is4() == gw.Is4() && inMain(r) {
			return
		}
	}
	all := netip.PrefixFrom(netip.IPv6Unspecified(), 0)
	if gw.Is4() {
		all = netip.PrefixFrom(netip.IPv4Unspecified(), 0)
	}
	in.routes = append(in.routes, &types.Route{
		Dst: cni.IPNet(all),
		GW:  gw.AsSlice(),
	})
}

// inMain says whether the route is in the table that is looked up first.
func inMain(r *types.Route) bool {
	return r.Table == nil || *r.Table == 0 || *r.Table == unix.RT_TABLE_MAIN
}

func (in inputs) result(req *cni.Request, dns types.DNS) *current.Result {
	if !in.conf.DNS.IsEmpty() {
		dns = in.conf.DNS
	}
	res := &current.Result{
		CNIVersion: current.ImplementedSpecVersion,
		Interfaces: []*current.Interface{
			{Name: in.conf.Bridge, Mac: in.facts.MAC.String(), Mtu: in.facts.MTU},
			{Name: in.owner.LinkName(), Mac: in.owner.HostMAC().String(), Mtu: in.mtu()},
			{Name: in.owner.IfName, Mac: in.mac.String(), Mtu: in.mtu(), Sandbox: req.Netns},
		},
		IPs: in.ips, Routes: in.routes, DNS: dns,
	}
	if in.conf.Vlan != 0 && in.conf.IsGateway && len(in.gateways(in.addresses())) > 0 {
		g := kernel.VlanGateway{Bridge: in.conf.Bridge, VID: in.conf.Vlan}
		res.Interfaces = append(res.Interfaces, &current.Interface{
			Name: kernel.VlanGatewayName(in.conf.Bridge, in.conf.Vlan), Mac: g.MAC(), Mtu: in.mtu(),
		})
	}
	return res
}

// coded gives kernel errors their code.
func coded(err error) error {
	var held *nft.HeldError
	switch {
	case errors.Is(err, kernel.ErrConflict), errors.As(err, &held):
		return cni.WithCode(cni.CodeConflict, err)
	}
	return cni.WithCode(cni.CodeKernel, err)
}

// Check compares the whole plan, in the container and on the host, with what the
// kernel has, and asks the IPAM plugin.
func Check(req *cni.Request) (err error) {
	c, err := parse(req)
	if err != nil {
		return err
	}
	prev, err := cni.PrevResult(req)
	if err != nil {
		return err
	}
	pool, err := newIPAM(req, c)
	if err != nil {
		return err
	}
	ns, err := openNetns(req)
	if err != nil {
		return err
	}
	defer ns.Close()
	h, err := kernel.Open(ns)
	if err != nil {
		return cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	facts, err := look(c, h)
	if err != nil {
		return coded(err)
	}
	ports, err := portmap.Publish(req)
	if err != nil {
		return err
	}
	in := inputs{conf: c, owner: owner(req), facts: facts}
	if err := errors.Join(in.takePrevious(prev), in.publish(ports)); err != nil {
		return err
	}
	err = in.plan().Check(h)
	if c.IsGateway && !c.ForwardAccept {
		err = errors.Join(err, kernel.ForwardBlocked(h, in.outLink()))
	}
	if err != nil {
		return cni.WithCode(cni.CodeDrift, err)
	}
	if pool != nil {
		return pool.Check(req)
	}
	return nil
}

// takePrevious takes from the result of ADD what is ours: plugins after us may have
// added interfaces and addresses, and changed the container's MAC.
func (in *inputs) takePrevious(prev *current.Result) error {
	index := -1
	for i, link := range prev.Interfaces {
		if link.Name == in.owner.IfName && link.Sandbox != "" {
			index = i
		}
	}
	if index < 0 {
		return cni.Errorf(cni.CodeConfig, "prevResult: no interface %s with a sandbox in it", in.owner.IfName)
	}
	var err error
	if text := prev.Interfaces[index].Mac; text != "" { // results of 0.2.0 and before have none
		in.mac, err = net.ParseMAC(text)
	}
	if err != nil {
		return cni.Errorf(cni.CodeConfig, "prevResult: interface %s: %q is not a MAC address", in.owner.IfName, prev.Interfaces[index].Mac)
	}
	for _, ip := range prev.IPs {
		if ip.Interface == nil || *ip.Interface == index {
			in.ips = append(in.ips, ip)
		}
	}
	for _, r := range prev.Routes {
		if gw := cni.Addr(r.GW); !gw.IsValid() || in.onLink(gw) {
			in.routes = append(in.routes, r)
		}
	}
	return nil
}

// onLink says whether the gateway is reached by our link.
func (in *inputs) onLink(gw netip.Addr) bool {
	for _, a := range in.addresses() {
		if a.prefix.Masked().Contains(gw) {
			return true
		}
	}
	return false
}

// known is what DEL reads of a configuration that may be wrong otherwise.
type known struct {
	ipam     string
	prev     []netip.Prefix
	valid    []types.GCAttachment
	hasValid bool
}

func tolerant(config []byte) known {
	var w struct {
		IPAM  json.RawMessage `json:"ipam"`
		Prev  json.RawMessage `json:"prevResult"`
		Valid json.RawMessage `json:"cni.dev/valid-attachments"`
	}
	// Each part is a hint; what can't be read is found by the owner.
	_ = json.Unmarshal(config, &w)
	var k known
	var t struct {
		Type string `json:"type"`
	}
	_ = json.Unmarshal(w.IPAM, &t)
	k.ipam = t.Type
	var prev struct {
		IPs []struct {
			Address string `json:"address"`
		} `json:"ips"`
	}
	_ = json.Unmarshal(w.Prev, &prev)
	for _, ip := range prev.IPs {
		if p, err := netip.ParsePrefix(ip.Address); err == nil {
			k.prev = append(k.prev, p)
		}
	}
	k.hasValid = w.Valid != nil && json.Unmarshal(w.Valid, &k.valid) == nil
	return k
}

// Del removes everything of the attachment: rules, links, and last the leases, so
// that an address is not handed out again while rules for it exist. It needs only
// the owner; what is absent is success.
func Del(req *cni.Request) error {
	k := tolerant(req.Config)
	pool, err := delIPAM(req, k)
	errs := []error{err}
	if pool != nil && pool.InProcess() && len(k.prev) == 0 {
		// What can't be read here is found by the owner.
		held, _ := hostlocal.Held(req)
		for _, a := range held {
			k.prev = append(k.prev, netip.PrefixFrom(a, a.BitLen()))
		}
	}
	if err := delKernel(req, k); err != nil {
		// The lease stays: something of the container may still use the address.
		return errors.Join(append(errs, coded(err))...)
	}
	if pool != nil {
		errs = append(errs, pool.Del(req))
	}
	return errors.Join(errs...)
}

func delIPAM(req *cni.Request, k known) (*ipam.IPAM, error) {
	if k.ipam == "" {
		return nil, nil
	}
	return ipam.New(req, k.ipam, hostlocal.Plugin())
}

// delKernel removes the links by the name of the host's end, wherever the other end
// is and whether its namespace still exists. It looks into the container only for a
// link that another plugin made.
func delKernel(req *cni.Request, k known) (err error) {
	ns := container(req)
	if ns != nil {
		defer ns.Close()
	}
	h, err := kernel.Open(ns)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	o := owner(req)
	return kernel.Plan{Own: append([]kernel.Object{
		kernel.Inherited{IfName: req.IfName, Addrs: k.prev},
		kernel.Veth{Owner: o},
		kernel.MACGuard{Owner: o},
		kernel.Masquerade{Owner: o, Addrs: k.prev},
		kernel.MasqueradeIPTables{Owner: o, Known: k.prev},
	}, portmap.Withdrawal(req, k.prev).Own...)}.Del(h)
}

// container opens the namespace for DEL. nil where it is gone, where the path is a
// plain file after a reboot, and where it is the host's own.
func container(req *cni.Request) *netns.NS {
	ns, err := openNetns(req)
	if err != nil {
		return nil
	}
	return ns
}

// GC removes everything of this network that belongs to no valid attachment, and
// asks the IPAM plugin to do the same. Without a list of valid attachments it
// changes nothing. With the last attachment go the bridge, if we made it, and our
// table.
func GC(req *cni.Request) (err error) {
	k := tolerant(req.Config)
	pool, perr := delIPAM(req, k)
	if !k.hasValid {
		return perr
	}
	h, err := kernel.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeKernel, err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	errs := []error{perr, sweep(req, k, h)}
	if pool != nil {
		errs = append(errs, pool.GC(req))
	}
	if len(k.valid) == 0 {
		errs = append(errs, coded(kernel.RetireBridge(h, bridgeName(req.Config))))
	}
	errs = append(errs, coded(kernel.TidyRules(h)))
	return errors.Join(errs...)
}

func sweep(req *cni.Request, k known, h *kernel.Host) error {
	valid, ids := make(map[string]bool), make(map[string]bool)
	for _, a := range k.valid {
		ids[a.ContainerID] = true
		valid[kernel.Owner{Network: req.Network, ContainerID: a.ContainerID, IfName: a.IfName}.Tag()] = true
	}
	tags, err := kernel.Owners(h, req.Network)
	errs := []error{err}
	for _, tag := range tags {
		if !valid[tag] {
			errs = append(errs, kernel.Sweep(h, tag))
		}
	}
	errs = append(errs, kernel.SweepIPTables(h, req.Network, ids))
	return coded(errors.Join(errs...))
}

func bridgeName(config []byte) string {
	var w struct {
		Bridge string `json:"bridge"`
	}
	// A wrong value names no bridge of ours.
	_ = json.NewDecoder(bytes.NewReader(config)).Decode(&w)
	if w.Bridge == "" {
		return defaultBridge
	}
	return w.Bridge
}

// Status says whether an ADD would work now.
func Status(req *cni.Request) error {
	c, err := parse(req)
	if err != nil {
		return err
	}
	if err := statusKernel(c); err != nil {
		return err
	}
	if c.IPAM == "" {
		return nil
	}
	pool, err := ipam.New(req, c.IPAM, hostlocal.Plugin())
	if err != nil {
		return cni.Errorf(cni.CodeNotReady, "%w", err)
	}
	return pool.Status(req)
}

// statusKernel says whether the kernel can do what the configuration asks, and
// whether somebody's rules drop what the bridge forwards.
func statusKernel(c *Conf) (err error) {
	h, err := kernel.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeNotReady, err)
	}
	defer func() { err = errors.Join(err, h.Close()) }()
	if c.IPMasq && c.IPTables {
		if err := (iptables.Family{}).Available(); err != nil {
			return cni.Errorf(cni.CodeNotReady, "ipMasqBackend: %w", err)
		}
	}
	if c.IPMasq && !c.IPTables || c.MACGuard {
		if _, err := h.Rules(); err != nil {
			return cni.Errorf(cni.CodeNotReady, "ipMasq: %w: load the nf_tables modules", err)
		}
	}
	if !c.IsGateway || c.ForwardAccept {
		return nil
	}
	if err := kernel.ForwardBlocked(h, inputs{conf: c}.outLink()); err != nil {
		return cni.WithCode(cni.CodeLimited, err)
	}
	return nil
}
