package bridge

import (
	"errors"
	"fmt"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/firewall"
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
	pool, err := ipam.New(req, c.IPAM)
	if pool != nil && pool.InProcess() {
		_, err = lease.Parse(req) // an error in there must come before any change of the kernel
	}
	return pool, err
}

// look reads what the plan needs: the bridge, and for "auto" the MTU of the host's way out. An error where
// strict isolation would close that.
func (in *inputs) look(s *plan.Session) (err error) {
	c := in.conf
	if c.AutoMTU {
		mtu, err := link.UplinkMTU(s)
		if err != nil && !errors.Is(err, link.ErrNoUplink) {
			return fmt.Errorf("mtu: auto: %w", err)
		}
		c.MTU = mtu // without a way out, the bridge's
	}
	if c.Isolation == firewall.IsolatedStrict {
		out, err := link.UplinkBridge(s)
		if err == nil && out != "" {
			err = cni.Errorf(cni.CodeConfig, "isolation: strict: the host's way out is the bridge %s, which containers could not use: choose \"network\"", out)
		}
		if err != nil {
			return err
		}
	}
	if in.facts, err = (link.Bridge{Name: c.Bridge, MTU: c.MTU, Gateway: c.IsGateway}).Facts(s); err == nil {
		c.Bridge = in.facts.Name
	}
	return err
}

// statusKernel says whether the kernel can do all, and whether anybody drops what is forwarded. It
// enters a namespace, its own, as ADD does: a profile may forbid that, or /proc be missing.
func statusKernel(c *Conf) error {
	own, err := netns.Current()
	if err != nil {
		return cni.WithCode(cni.CodeNotReady, err)
	}
	defer own.Close()
	return cni.WithCode(cni.CodeNotReady, plan.With(own, func(s *plan.Session) error {
		if c.IPMasq && c.IPTables {
			if err := (iptables.Family{}).Available(); err != nil {
				return fmt.Errorf("ipMasqBackend: %w", err)
			}
		}
		if c.IPMasq && !c.IPTables || c.MacSpoofChk {
			if _, err := s.Rules(); err != nil {
				return fmt.Errorf("ipMasq: %w", err)
			}
		}
		if !c.IsGateway || c.ForwardAccept {
			return nil
		}
		c.Bridge = link.RealName(s, c.Bridge)
		return cni.WithCode(cni.CodeLimited, foreign.ForwardBlocked(s, c.outLink()))
	}))
}
