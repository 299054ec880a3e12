package command

import (
	"fmt"
	"math"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/spf13/cobra"
)

// Finding is one holder of what was asked for.
type Finding struct {
	What   string                 `json:"what"`
	Holder string                 `json:"holder"`
	Alive  bool                   `json:"alive"`
	Since  *time.Time             `json:"since,omitempty"`
	How    string                 `json:"how"`
	Full   *attachment.Attachment `json:"attachment,omitempty"`
}

func whoCommand(o *options) *cobra.Command {
	return &cobra.Command{
		Use:   "who ADDRESS|PORT|LINK|CONTAINER",
		Short: "Tell who holds an address, a port, a link; since when; alive or dead",
		Example: `  bridgeport who 10.88.0.7
  bridgeport who 8080/tcp
  bridgeport who 8080
  bridgeport who veth1b753752339
  bridgeport who 0a:58:0a:58:00:07`,
		Long: `Tell who holds an address (IP or MAC), a published port, a link, or what a
container or pod holds. A port is 8080/tcp, tcp/8080 or 8080, with or without an
address of the host before the number, or what ls prints.

Exit status: 0 somebody was found, 1 nobody holds it.`,
		Args: cobra.ExactArgs(1), ValidArgsFunction: o.completing(view.holders),
		RunE: o.looking(func(p *show.Printer, v view) error {
			found, err := who(v.Node, v.list, v.args[0])
			if err != nil {
				return err
			}
			return exit(p.Value(found, func() { printWho(p, v.args[0], found) }), len(found) == 0, 1)
		}),
	}
}

func printWho(p *show.Printer, what string, found []Finding) {
	if len(found) == 0 {
		p.Line("nobody holds %s", what)
	}
	for _, f := range found {
		life := p.Good("alive")
		if !f.Alive {
			life = p.Bad("dead")
		}
		since := ""
		if f.Since != nil {
			since = fmt.Sprintf(", since %s (%s ago)", f.Since.Format(time.RFC3339), show.Age(f.Since, time.Now()))
		}
		p.Hang(f.What+": ", p.Name(f.Holder)+", "+life+since)
		p.Hang("  ", f.How)
		a := f.Full
		if a == nil {
			continue
		}
		if a.Pod != "" {
			p.Hang("  pod        ", a.Pod)
		}
		p.Hang("  addresses  ", show.Dash(show.List(a.Addresses)))
		p.Hang("  links      ", fmt.Sprintf("%s on bridge %s, MAC %s in %s", show.Dash(a.Link), show.Dash(a.Bridge), show.Dash(a.MAC), show.Dash(a.Netns)))
		if len(a.Ports) > 0 {
			p.Hang("  ports      ", strings.Join(a.PortTexts(), ", "))
		}
		for _, note := range a.Notes {
			p.Hang("  "+p.State(a.State)+": ", note)
		}
		for _, left := range a.Left {
			p.Hang("  left: ", left)
		}
	}
}

// who decides by its form what the word is.
func who(n *node.Node, list []*attachment.Attachment, word string) ([]Finding, error) {
	if addr, err := netip.ParseAddr(word); err == nil {
		return whoAddress(n, list, addr.Unmap()), nil
	}
	port, is, err := parsePort(word)
	if err != nil {
		return nil, err
	}
	var found []Finding
	if is {
		found = whoPort(list, port)
	}
	for _, a := range list {
		switch {
		case strings.EqualFold(a.MAC, word) && a.MAC != "":
			found = append(found, finding(word, a, "it is the address of "+a.IfName+" inside the container"))
		case a.Link == word:
			found = append(found, finding("link "+word, a, "the link's alias tells it"))
		case a.Is(word):
			found = append(found, finding("container "+word, a, "network "+a.Network+", interface "+a.IfName))
		}
	}
	if l := n.Link(word); l != nil && len(found) == 0 {
		maker := "not made by Bridgeport"
		if l.Ours() {
			maker = "made by Bridgeport"
		}
		found = append(found, Finding{What: "link " + word, Holder: "the host", Alive: true, How: fmt.Sprintf("a %s with %s, %s", l.Kind, show.Count(len(n.Ports(l)), "port"), maker)})
	}
	return found, nil
}

type hostPort struct {
	Protocol string     // "" for each
	Host     netip.Addr // invalid for each
	Number   uint16
}

// takes says whether the port may be the one.
func (h hostPort) takes(protocol string, host netip.Addr, number uint16) bool {
	return h.Number == number && (h.Protocol == "" || h.Protocol == protocol) &&
		(!h.Host.IsValid() || !host.IsValid() || host.IsUnspecified() || h.Host == host)
}

// parsePort reads "8080/tcp", "tcp/8080", "8080" and these with an address before the number
// or, as ls prints them, an arrow after it. is is false where the word is something else.
func parsePort(word string) (h hostPort, is bool, err error) {
	text, behind, _ := strings.Cut(strings.ReplaceAll(strings.ToLower(word), "->", "→"), "→")
	first, second, slash := strings.Cut(text, "/")
	_, isFirst := hostport.Protocol(first)
	if _, proto, ok := strings.Cut(behind, "/"); ok {
		second, slash = proto, true // 8080→80/tcp
	}
	switch _, isSecond := hostport.Protocol(second); {
	case slash && isFirst:
		h.Protocol, text = first, second
	case slash && isSecond:
		h.Protocol, text = second, first
	case slash:
		return h, false, nil
	}
	if at, err := netip.ParseAddrPort(text); err == nil {
		h.Host, text = at.Addr().Unmap(), fmt.Sprint(at.Port())
	}
	switch n, err := strconv.ParseUint(text, 10, 64); {
	case err == nil && n > 0 && n <= math.MaxUint16:
		h.Number = uint16(n)
		return h, true, nil
	case h.Protocol == "" && (err != nil || len(text) >= 6): // a long number may be a container's ID
		return h, false, nil
	}
	return h, false, fmt.Errorf("%s: %q is outside 1-65535", word, text)
}

func finding(what string, a *attachment.Attachment, how string) Finding {
	return Finding{What: what, Holder: a.Name(), Alive: a.State != attachment.Orphan, Since: a.Since, How: how, Full: a}
}

func whoAddress(n *node.Node, list []*attachment.Attachment, addr netip.Addr) []Finding {
	var found []Finding
	for _, a := range list {
		if !a.Has(addr) {
			continue
		}
		how := "the rules name it"
		for _, l := range a.Leases {
			if l.Addr == addr {
				how = "leased by " + l.Path()
			}
		}
		found = append(found, finding(addr.String(), a, how))
	}
	for _, l := range n.Links {
		if l.Has(addr) {
			found = append(found, Finding{What: addr.String(), Holder: "the host", Alive: true, How: "an address of its link " + l.Name})
		}
	}
	for _, l := range n.Leases {
		if l.Addr == addr && l.Owner.ContainerID == "" {
			found = append(found, Finding{What: addr.String(), Holder: "nobody", Since: &l.Time, How: "an empty lease file, left by a crash: " + l.Path()})
		}
	}
	return found
}

// whoPort are attachments, and processes of the host: a published port wins over them.
func whoPort(list []*attachment.Attachment, port hostPort) []Finding {
	var found []Finding
	for _, a := range list {
		for _, p := range a.Ports {
			if port.takes(p.Protocol, p.HostIP, p.HostPort) {
				at := "every address of the host"
				if p.HostIP.IsValid() {
					at = p.HostIP.String()
				}
				how := fmt.Sprintf("%s leads to %s (rules: %s)", at, p.Container, p.Backend)
				if p.ByHand {
					how += ", added by hand"
				}
				found = append(found, finding(p.Key(), a, how))
			}
		}
	}
	for _, s := range node.Listeners() {
		if port.takes(s.Protocol, s.Addr.Addr(), s.Addr.Port()) {
			found = append(found, Finding{What: s.Key(), Holder: s.ProcessOf(), Alive: true, How: "listens on " + s.Addr.String()})
		}
	}
	return found
}
