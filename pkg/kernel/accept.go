package kernel

import (
	"errors"
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// ForwardAccept lets the bridge's packets through where somebody's rules drop what
// they do not know. It is shared, and goes when the bridge is retired.
type ForwardAccept struct{ Bridge string }

// Add puts the rules where the host's own firewall decides.
func (f ForwardAccept) Add(h *Host) error {
	rules, err := h.Rules()
	if err != nil {
		return err
	}
	return rules.Accept(f.Bridge)
}

// Check says which chains drop the bridge's packets all the same.
func (f ForwardAccept) Check(h *Host) error { return ForwardBlocked(h, f.Bridge) }

// Del keeps the rules: they are shared.
func (f ForwardAccept) Del(*Host) error { return nil }

func (f ForwardAccept) String() string {
	return fmt.Sprintf("nft insert rule TABLE CHAIN iifname %q accept   # and oifname; for each forward chain that drops", f.Bridge)
}

// ErrBlocked says that the host's firewall drops what the bridge forwards.
var ErrBlocked = errors.New("forwarding is blocked")

// ForwardBlocked is nil, or an ErrBlocked that names the chains in the way.
func ForwardBlocked(h *Host, bridge string) error {
	rules, err := h.Rules()
	if errors.Is(err, nft.ErrUnsupported) {
		return nil
	}
	if err != nil {
		return err
	}
	blockers, err := rules.Blockers(bridge)
	if err != nil || len(blockers) == 0 {
		return err
	}
	var names []string
	for _, b := range blockers {
		names = append(names, b.String())
	}
	return fmt.Errorf("bridge %s: %w by %s, which drops what no rule accepts: set \"forwardAccept\": true, or accept the bridge there",
		bridge, ErrBlocked, strings.Join(names, ", "))
}
