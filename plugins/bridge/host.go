package bridge

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/foreign"
	"github.com/bridgeport-cni/bridgeport/pkg/ipam"
	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/link"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
)

// newIPAM is nil for a layer 2 network.
func newIPAM(req *cni.Request, c *Conf) (*ipam.IPAM, error) {
	if c.IPAM == "" {
		return nil, nil
	}
	pool, err := ipam.New(req, c.IPAM)
	if err != nil {
		return nil, err
	}
	if pool.InProcess() {
		// Before the kernel is touched; leases are taken only after.
		if _, err := lease.Parse(req); err != nil {
			return nil, err
		}
	}
	return pool, nil
}

// openNetns refuses the host's own namespace, where CNI_IFNAME would be one of the
// host's links.
func openNetns(req *cni.Request) (*netns.NS, error) {
	ns, err := netns.OpenOther(req.Netns, req.Override)
	if err != nil {
		return nil, cni.Errorf(cni.CodeNetns, "CNI_NETNS: %w", err)
	}
	return ns, nil
}

// prepare looks at the bridge, and refuses early what can't end well.
func prepare(req *cni.Request, c *Conf, s *plan.Session) (inputs, error) {
	facts, err := look(c, s)
	if err != nil {
		return inputs{}, err
	}
	o := plan.OwnerOf(req)
	return inputs{conf: c, owner: o, facts: facts, mac: c.MAC}, s.Vacant(o)
}

// look reads what the plan needs of the host: the MTU of its way out, where the
// configuration leaves that to us, and the bridge.
func look(c *Conf, s *plan.Session) (link.Facts, error) {
	if c.AutoMTU {
		mtu, err := link.UplinkMTU(s)
		if err != nil && !errors.Is(err, link.ErrNoUplink) {
			return link.Facts{}, fmt.Errorf("mtu: auto: %w", err)
		}
		c.MTU = mtu // without a way out, the bridge's
	}
	return link.Bridge{Name: c.Bridge, MTU: c.MTU}.Facts(s)
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

// statusKernel says whether the kernel can do what the configuration asks, and
// whether somebody's rules drop what the bridge forwards.
func statusKernel(c *Conf) (err error) {
	s, err := plan.Open(nil)
	if err != nil {
		return cni.WithCode(cni.CodeNotReady, err)
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	if c.IPMasq && c.IPTables {
		if err := (iptables.Family{}).Available(); err != nil {
			return cni.Errorf(cni.CodeNotReady, "ipMasqBackend: %w", err)
		}
	}
	if c.IPMasq && !c.IPTables || c.MacSpoofChk {
		if _, err := s.Rules(); err != nil {
			return cni.Errorf(cni.CodeNotReady, "ipMasq: %w: load the nf_tables modules", err)
		}
	}
	if !c.IsGateway || c.ForwardAccept {
		return nil
	}
	if err := foreign.ForwardBlocked(s, inputs{conf: c}.outLink()); err != nil {
		return cni.WithCode(cni.CodeLimited, err)
	}
	return nil
}
