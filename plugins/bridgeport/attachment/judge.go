package attachment

import (
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/bridgeport-cni/bridgeport/plugins/portmap"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Pause is the time between two looks: a plugin's call may take so long, even on a busy node.
const Pause = 500 * time.Millisecond

// Unwell says whether something was found of the attachment.
func (a *Attachment) Unwell() bool { return a.State != OK && a.State != Foreign }

// Lasting are the attachments of the second look with the findings that the first had, too: what only one look
// found was on its way. An attachment without findings is as the first look saw it, or has just begun.
func Lasting(first, second []*Attachment) []*Attachment {
	before, list := make(map[string]*Attachment), []*Attachment{}
	for _, a := range first {
		before[a.Tag] = a
	}
	for _, a := range second {
		was := before[a.Tag]
		a.Findings = slices.DeleteFunc(a.Findings, func(f plan.Finding) bool {
			return was == nil || !slices.ContainsFunc(was.Findings, func(o plan.Finding) bool {
				return o.Kind == f.Kind && o.Object == f.Object && o.Field == f.Field
			})
		})
		a.Notes = a.Findings.Sentences()
		switch gone := a.Unwell() && len(a.Findings) == 0; {
		case gone && a.State == Drift:
			a.State = OK
		case gone:
			a = was
		}
		if a != nil {
			list = append(list, a)
		}
	}
	return list
}

// judge tells the living from the dead. Alive is what has a link into a namespace that
// exists: the kernel removes a veth with the namespace of either end. Dead is what has
// no link, whose namespace is known and gone or, of plugin bridge, has no such link, and
// whose addresses nobody has. Everything else is in doubt, and nothing of it is ever removed.
func (j *joiner) judge(a *Attachment) {
	space := plan.Finding{Kind: plan.NamespaceKind, Object: "its namespace " + a.Netns, Field: "link", Expected: a.IfName}
	if a.Netns != "" {
		in, err := node.Enter(a.Netns, j.compared == nil)
		switch {
		case err == nil:
			a.Inside, a.Inner = in, in.Link(a.IfName)
		case !errors.Is(err, node.ErrGone):
			a.note(Doubt, plan.Finding{Kind: plan.NamespaceKind, Object: "its namespace", Text: fmt.Sprintf(" can't be looked into: %v", err)})
			return
		}
	}
	switch {
	case a.Host != nil:
		j.judgeLink(a)
	case a.Inner != nil && !a.innerOwn():
		a.note(Doubt, plan.Finding{
			Kind: plan.AddressKind, Object: a.IfName + " in " + a.Netns, Field: "address", Expected: show.List(a.Addresses),
			Text: " has none of its addresses: another container may have taken the name",
		})
	case a.Inner != nil:
		a.State = Foreign
		if !a.byOthers() {
			a.note(Drift, plan.Finding{Kind: plan.LinkKind, Object: "the host's link " + a.Owner().LinkName(), Field: HostEnd, Text: " is missing"})
		}
	case a.Inside != nil && !a.bridged():
		// A device that was handed to a virtual machine, say.
		space.Text = fmt.Sprintf(" has no link %s, which may be right: it is not of plugin bridge", a.IfName)
		a.note(Doubt, space)
	case (a.Cached == nil || len(a.Leases) > 0) && j.heldElsewhere(a): // without a lease the address is another's
	default:
		switch {
		case a.Netns == "":
			space.Object, space.Text = "it", " has no link, and no namespace has its address"
		case a.Inside == nil:
			space.Text = " is gone"
		default:
			space.Object, space.Text = "its namespace", " has no link "+a.IfName+" any more"
		}
		a.note(Orphan, space)
		a.left()
	}
}

// bridged says whether the attachment has a veth pair, which goes with either end.
func (a *Attachment) bridged() bool {
	return a.Cached == nil || slices.ContainsFunc(a.Cached.Plugins, func(p node.Plugin) bool { return p.Kind() == "bridge" })
}

// innerOwn says whether the link in the namespace has one of the attachment's addresses.
func (a *Attachment) innerOwn() bool {
	return len(a.Addresses) == 0 || slices.ContainsFunc(a.Inner.Addrs, func(p netip.Prefix) bool { return a.Has(p.Addr()) })
}

func (j *joiner) judgeLink(a *Attachment) {
	if !a.Host.Ours() {
		a.State = Foreign
		return
	}
	a.State = OK
	if !a.Host.Up {
		a.note(Drift, plan.Finding{Kind: plan.LinkKind, Object: a.Link, Field: "state", Expected: "up", Actual: "down", Text: " is down"})
	}
	if a.Host.Master == 0 {
		a.note(Drift, plan.Finding{Kind: plan.LinkKind, Object: a.Link, Field: "port of bridge", Text: " is plugged into no bridge"})
	}
	for _, l := range a.Unleased() {
		a.note(Drift, plan.Finding{Kind: plan.LeaseKind, Object: "the lease of " + l.Addr.String(), Text: " is missing: another container may get it"})
	}
	if a.Cached != nil && a.Inside != nil {
		a.note(Drift, a.checked(j.compared)...)
	} else if a.Cached == nil && len(a.Elements) == 0 && j.masqueraded(a) {
		a.note(Drift, plan.Finding{Kind: plan.ElementKind, Object: "its rules", Text: " are missing"})
	}
}

// HostEnd is the field of a finding of LinkKind: the host's end of the pair does not exist.
const HostEnd = "host end"

// Unleased are the leases missing of its addresses in host-local's ranges; none without a cached configuration.
func (a *Attachment) Unleased() (list []node.Lease) {
	if a.Cached == nil {
		return nil
	}
	for _, p := range a.Cached.Plugins {
		if p.Lease == nil {
			continue
		}
		for _, addr := range a.Addresses {
			mine := func(l node.Lease) bool { return l.Addr == addr }
			if slices.ContainsFunc(p.Lease.Sets, func(s lease.RangeSet) bool { return s.Has(addr) }) && !slices.ContainsFunc(a.Leases, mine) {
				list = append(list, node.Lease{File: lease.File{Addr: addr}, Dir: p.Lease.DataDir, Network: a.Network})
			}
		}
	}
	return list
}

// masqueraded says whether the network's configuration file asks for rules.
func (j *joiner) masqueraded(a *Attachment) bool {
	return slices.ContainsFunc(j.Networks, func(n node.Network) bool {
		return n.Name == a.Network && slices.ContainsFunc(n.Plugins, node.Plugin.Masquerades)
	})
}

// byOthers says whether the result tells of a host link that is not named as ours.
func (a *Attachment) byOthers() bool {
	return a.Cached != nil && a.Cached.Result != nil && !slices.ContainsFunc(a.Cached.Result.Interfaces, func(i *current.Interface) bool {
		return i.Name == a.Owner().LinkName()
	})
}

// heldElsewhere looks for the addresses in all namespaces that can be found.
func (j *joiner) heldElsewhere(a *Attachment) bool {
	if j.inUse == nil && len(a.Addresses) > 0 {
		j.inUse = make(map[netip.Addr]string)
		for _, s := range j.Spaces {
			in, err := node.Enter(s.Path, false)
			if err != nil {
				continue
			}
			for _, l := range in.Links {
				for _, p := range l.Addrs {
					j.inUse[p.Addr()] = s.Path
				}
			}
		}
	}
	for _, addr := range a.Addresses {
		if path := j.inUse[addr]; path != "" {
			a.note(Doubt, plan.Finding{Kind: plan.AddressKind, Object: "it", Text: fmt.Sprintf(" has no link here, but %s is in use in %s", addr, path)})
			return true
		}
	}
	return false
}

// left tells what exists of an orphan.
func (a *Attachment) left() {
	for _, l := range a.Leases {
		a.Left = append(a.Left, "lease "+l.Path())
	}
	for _, e := range a.Elements {
		a.Left = append(a.Left, "element "+e.Target())
	}
	if a.Cached != nil {
		a.Left = append(a.Left, "cache "+a.Cached.File)
	}
}

// With hands the plan of each of our plugins to fn, by the cached call and result: what CHECK would compare.
func (a *Attachment) With(fn func(*plan.Session, plan.Plan) error) error {
	if a.Cached == nil {
		return errors.New("libcni's cache does not know it")
	}
	ns, err := netns.Open(a.Netns)
	if err != nil {
		return err
	}
	defer ns.Close()
	return plan.With(ns, func(s *plan.Session) error { return a.plans(s, fn) })
}

// ByIPTables is the attachment as if its configuration asked for the rules of the reference plugins.
func (a *Attachment) ByIPTables() *Attachment {
	b := *a
	if a.Cached == nil {
		return &b
	}
	cached := *a.Cached
	cached.Plugins = slices.Clone(a.Cached.Plugins)
	for i, p := range cached.Plugins {
		key := map[string]string{"bridge": "ipMasqBackend", "portmap": "backend"}[p.Kind()]
		if key != "" {
			cached.Plugins[i].Raw = maps.Clone(p.Raw)
			cached.Plugins[i].Raw[key] = json.RawMessage(`"iptables"`)
		}
	}
	b.Cached = &cached
	return &b
}

func (a *Attachment) plans(s *plan.Session, fn func(*plan.Session, plan.Plan) error) error {
	net := &a.Cached.Network
	if net.Bad != nil {
		return fmt.Errorf("cached configuration: %w", net.Bad)
	}
	call := a.Cached.Call
	call.NetNS = a.Netns // libcni before 1.2 does not write it
	for _, p := range net.Plugins {
		expected := map[string]func(*cni.Request, *plan.Session) (plan.Plan, error){
			"bridge": bridge.Expected, "portmap": portmap.Expected,
		}[p.Kind()]
		if expected == nil {
			continue
		}
		req, err := node.Request(net, p, call, "ADD", a.Cached.RawResult)
		var made plan.Plan
		if err == nil {
			made, err = expected(req, s)
		}
		if err != nil {
			return fmt.Errorf("%s: %w", p.Type, err)
		}
		if err := fn(s, made); err != nil {
			return err
		}
	}
	return nil
}

// checked compares the attachment with its plan, as CHECK does, or those objects that compared takes.
func (a *Attachment) checked(compared func(plan.Object) bool) plan.Drift {
	var errs []error
	with := a.With
	if compared != nil { // what stands on the host
		with = func(fn func(*plan.Session, plan.Plan) error) error {
			return plan.With(nil, func(s *plan.Session) error { return a.plans(s, fn) })
		}
	}
	err := with(func(s *plan.Session, p plan.Plan) error {
		if compared != nil {
			p = plan.Plan{Own: slices.DeleteFunc(p.Objects(), func(o plan.Object) bool { return !compared(o) })}
		}
		errs = append(errs, p.Check(s))
		return nil
	})
	return plan.Findings(errors.Join(append(errs, err)...))
}
