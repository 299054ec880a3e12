// Package kernel is what an attachment needs of the Linux kernel, as a list of
// plain values that can be added, checked, deleted and printed. It is the only
// importer of vishvananda/netlink.
package kernel

import (
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netlink"

	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

// Object is one thing the kernel should hold.
type Object interface {
	// Add makes it. It may queue requests on the Host, which Plan.Add flushes.
	Add(h *Host) error
	// Check is nil, or a *Drift that names each field that differs.
	Check(h *Host) error
	// Del removes it; absent is success. Everything it needs follows from the
	// Owner and the addresses, never from the rest of the configuration.
	Del(h *Host) error
	// String is the command that a person would type: ip(8), nft(8), sysctl(8).
	String() string
}

// Plan is what one attachment needs, in the order it must be made.
type Plan struct {
	Shared []Object // made if missing, never removed by DEL
	Own    []Object // live and die with the attachment
}

// Add makes the plan real. If it fails, nothing of Own is left behind that was not
// there before. A bridge that GC retired meanwhile is made again.
func (p Plan) Add(h *Host) error {
	err := p.add(h)
	for range 5 { // a crowd of GCs
		if err == nil || !p.lostBridge(h) {
			break
		}
		clear(h.index)
		err = p.add(h)
	}
	if err != nil && h.shared.Base && p.opensLoopback() {
		// GC of another network may have taken the empty table with the guard. The first
		// error is the one to tell.
		_ = Rules{}.Add(h)
	}
	return err
}

// opensLoopback says whether packets for loopback addresses are let in from a link, behind
// the guard of Rules.
func (p Plan) opensLoopback() bool {
	return slices.ContainsFunc(p.Shared, func(o Object) bool {
		s, ok := o.(Sysctl)
		return ok && strings.HasSuffix(s.Key, Localnet)
	})
}

// lostBridge says whether a bridge was there and is not any more.
func (p Plan) lostBridge(h *Host) bool {
	for _, o := range p.Shared {
		b, ok := o.(Bridge)
		if !ok || h.index[b.Name] == 0 {
			continue
		}
		if link, err := h.rt.Link(b.Name); errors.Is(err, netlink.ErrNoLink) || err == nil && link.Index != h.index[b.Name] {
			return true
		}
	}
	return false
}

func (p Plan) add(h *Host) error {
	for _, o := range p.Shared {
		if err := o.Add(h); err != nil {
			h.drop()
			return err
		}
	}
	if err := h.Flush(); err != nil {
		return err
	}
	for i, o := range p.Own {
		if err := o.Add(h); err != nil {
			return undo(h, err, p.Own[:i])
		}
	}
	if err := h.Flush(); err != nil {
		return undo(h, err, p.Own)
	}
	return nil
}

// undo takes back what was made. An object whose own Add failed has left nothing.
func undo(h *Host, err error, made []Object) error {
	h.drop()
	if uerr := (Plan{Own: made}).Del(h); uerr != nil {
		return errors.Join(err, fmt.Errorf("undo: %w", uerr))
	}
	return err
}

// Check compares the whole plan with the kernel and joins all differences.
func (p Plan) Check(h *Host) error {
	var errs []error
	h.later = []nft.Chain{}
	for _, o := range slices.Concat(p.Shared, p.Own) {
		if err := o.Check(h); err != nil {
			errs = append(errs, err)
		}
	}
	return errors.Join(append(errs, h.checkLater())...)
}

// Del removes Own, last made first, and goes on after an error. Guards go last: they are
// made after the link, which holds the attachment's name, and are needed until it is gone.
func (p Plan) Del(h *Host) error {
	var guards, rest []Object
	for _, o := range slices.Backward(p.Own) {
		if _, ok := o.(Guard); ok {
			guards = append(guards, o)
		} else {
			rest = append(rest, o)
		}
	}
	var errs []error
	for _, o := range append(rest, guards...) {
		if err := o.Del(h); err != nil {
			errs = append(errs, fmt.Errorf("delete: %w", err))
		}
	}
	return errors.Join(errs...)
}

// String is the plan as commands, one a line.
func (p Plan) String() string {
	var b strings.Builder
	for _, o := range slices.Concat(p.Shared, p.Own) {
		if s := o.String(); s != "" {
			b.WriteString(s)
			b.WriteByte('\n')
		}
	}
	return b.String()
}
