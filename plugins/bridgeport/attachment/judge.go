package attachment

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

// judge tells the living from the dead. Alive is what has a link into a namespace that
// exists: the kernel removes a veth with the namespace of either end. Dead is what has
// no link, whose namespace is known and gone or, of plugin bridge, has no such link, and
// whose addresses nobody has. Everything else is in doubt, and nothing of it is ever removed.
func (j *joiner) judge(a *Attachment) {
	if a.Netns != "" {
		in, err := node.Enter(a.Netns)
		switch {
		case err == nil:
			a.Inside, a.Inner = in, in.Link(a.IfName)
		case !errors.Is(err, node.ErrGone):
			a.State, a.Notes = Doubt, []string{fmt.Sprintf("its namespace can't be looked into: %v", err)}
			return
		}
	}
	switch {
	case a.Host != nil:
		j.judgeLink(a)
	case a.Inner != nil && !a.innerOwn():
		a.State, a.Notes = Doubt, []string{fmt.Sprintf("%s in %s has none of its addresses: another container may have taken the name", a.IfName, a.Netns)}
	case a.Inner != nil:
		a.State = Foreign
		if !a.byOthers() {
			a.State, a.Notes = Drift, []string{"the host's link " + a.owner().LinkName() + " is missing"}
		}
	case a.Inside != nil && !a.bridged():
		// A device that was handed to a virtual machine, say.
		a.State, a.Notes = Doubt, []string{fmt.Sprintf("its namespace %s has no link %s, which may be right: it is not of plugin bridge", a.Netns, a.IfName)}
	case (a.Cached == nil || len(a.Leases) > 0) && a.heldElsewhere(j): // without a lease the address is another's
	default:
		a.State = Orphan
		a.Notes = append(a.Notes, a.obituary())
		a.left()
	}
}

// bridged says whether the attachment has a veth pair, which goes with either end.
func (a *Attachment) bridged() bool {
	return a.Cached == nil || slices.ContainsFunc(a.Cached.Plugins, func(p node.Plugin) bool { return p.Type == "bridge" })
}

// innerOwn says whether the link in the namespace has one of the attachment's addresses.
func (a *Attachment) innerOwn() bool {
	return len(a.Addresses) == 0 || slices.ContainsFunc(a.Inner.Addrs, func(p netip.Prefix) bool { return a.Has(p.Addr()) })
}

func (a *Attachment) obituary() string {
	switch {
	case a.Netns == "":
		return "it has no link, and no namespace has its address"
	case a.Inside == nil:
		return "its namespace " + a.Netns + " is gone"
	}
	return "its namespace has no link " + a.IfName + " any more"
}

func (j *joiner) judgeLink(a *Attachment) {
	if !a.Host.Ours() {
		a.State = Foreign
		return
	}
	a.State = OK
	a.drift(a.links())
	if len(a.Leases) == 0 && a.Cached != nil && leased(a.Cached.Plugins) {
		a.drift([]string{"the lease of " + strings.Join(a.Addresses, ", ") + " is missing: another container may get it"})
	}
	if a.Cached != nil && a.Inside != nil {
		a.drift(a.checked())
	} else if a.Cached == nil && len(a.Elements) == 0 && j.masqueraded(a) {
		a.drift([]string{"its rules are missing"})
	}
}

func (a *Attachment) drift(notes []string) {
	if len(notes) > 0 {
		a.State = Drift
		a.Notes = append(a.Notes, notes...)
	}
}

// links are the differences that can be seen without a configuration.
func (a *Attachment) links() (notes []string) {
	if !a.Host.Up {
		notes = append(notes, a.Link+" is down")
	}
	if a.Host.Master == 0 {
		notes = append(notes, a.Link+" is plugged into no bridge")
	}
	return notes
}

func leased(list []node.Plugin) bool {
	for _, p := range list {
		if p.IPAM.Type == "host-local" {
			return true
		}
	}
	return false
}

// masqueraded says whether the network's configuration file asks for rules.
func (j *joiner) masqueraded(a *Attachment) bool {
	for _, n := range j.node.Networks {
		for _, p := range n.Plugins {
			if n.Name == a.Network && p.Type == "bridge" && p.IPMasq && p.MasqBackend != "iptables" {
				return true
			}
		}
	}
	return false
}

// byOthers says whether the result tells of a host link that is not named as ours.
func (a *Attachment) byOthers() bool {
	if a.Cached == nil || a.Cached.Result == nil {
		return false
	}
	for _, i := range a.Cached.Result.Interfaces {
		if i.Name == a.owner().LinkName() {
			return false
		}
	}
	return true
}

// heldElsewhere looks for the addresses in all namespaces that can be found.
func (a *Attachment) heldElsewhere(j *joiner) bool {
	for _, text := range a.Addresses {
		addr, err := netip.ParseAddr(text)
		if err != nil {
			continue
		}
		if path := j.holder(addr); path != "" {
			a.State, a.Notes = Doubt, []string{fmt.Sprintf("it has no link here, but %s is in use in %s", addr, path)}
			return true
		}
	}
	return false
}

// holder is a namespace that has the address; "" if none can be found.
func (j *joiner) holder(addr netip.Addr) string {
	if j.inUse == nil {
		j.inUse = make(map[netip.Addr]string)
		for _, s := range j.node.Spaces {
			in, err := node.Enter(s.Path)
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
	return j.inUse[addr]
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
