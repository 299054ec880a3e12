// Package graph draws a node's container networks: for terminals, as SVG, DOT and Mermaid.
package graph

import (
	"cmp"
	"fmt"
	"io"
	"math"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/attachment"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
)

// Picture is what is drawn.
type Picture struct {
	Host     string    `json:"host"`
	Uplinks  []Uplink  `json:"uplinks"`
	Networks []Network `json:"networks"`
}

// Uplink is a way out.
type Uplink struct {
	Name  string   `json:"name"`
	Addrs []string `json:"addresses"`
}

// Network is one bridge with the containers of one network.
type Network struct {
	Name       string      `json:"name"`
	Bridge     string      `json:"bridge"`
	Gateways   []string    `json:"gateways"`
	Masquerade bool        `json:"masquerade"`
	Containers []Container `json:"containers"`
}

// Container is one attachment.
type Container struct {
	Name  string   `json:"name"`
	IF    string   `json:"ifName"`
	Link  string   `json:"hostLink"`
	Addrs []string `json:"addresses"`
	Ports []string `json:"ports"`
	State string   `json:"state"`
}

// New gathers what is drawn.
func New(n *node.Node, list []*attachment.Attachment) Picture {
	host, _ := os.Hostname()
	p := Picture{Host: cmp.Or(host, "this host")}
	for _, l := range n.Uplinks() {
		u := Uplink{Name: l.Name}
		for _, a := range l.Addrs {
			if !a.Addr().IsLinkLocalUnicast() {
				u.Addrs = append(u.Addrs, a.Addr().String())
			}
		}
		p.Uplinks = append(p.Uplinks, u)
	}
	for _, w := range attachment.Networks(n, list) {
		net := Network{Name: w.Name, Bridge: w.Bridge, Gateways: show.Texts(w.Gateways)}
		net.Masquerade = w.Conf != nil && w.Conf.IPMasq
		for _, a := range list {
			if a.Network == w.Name {
				net.Containers = append(net.Containers, Container{
					Name: a.Label(), IF: a.IfName, Link: a.Link, Addrs: show.Texts(a.Addresses), Ports: a.PortTexts(), State: a.State,
				})
			}
		}
		p.Networks = append(p.Networks, net)
	}
	return p
}

// ports is how many ports the network publishes.
func (n Network) ports() (count int) {
	for _, c := range n.Containers {
		count += len(c.Ports)
	}
	return count
}

// sums are how many containers and published ports there are.
func (p Picture) sums() (containers, ports int) {
	for _, n := range p.Networks {
		containers, ports = containers+len(n.Containers), ports+n.ports()
	}
	return containers, ports
}

// Terminal draws a tree.
func (p Picture) Terminal(out *show.Printer) {
	out.Line("%s", out.Title("outside"))
	for _, u := range p.Uplinks {
		out.Hang("  │  ", out.Name(u.Name)+" "+strings.Join(u.Addrs, ", "))
	}
	if len(p.Uplinks) == 0 {
		out.Line("  ╎  %s", out.Warn("no default route"))
	}
	out.Line("%s %s", out.Title("host"), p.Host)
	for i, n := range p.Networks {
		branch, bar := "├─", "│ "
		if i == len(p.Networks)-1 {
			branch, bar = "└─", "  "
		}
		about := []string{strings.Join(n.Gateways, ", ")}
		if n.Masquerade {
			about = append(about, "⇧ masquerade")
		}
		out.Hang("  "+branch+" ", fmt.Sprintf("%s on bridge %s  %s", out.Title(n.Name), out.Name(show.Dash(n.Bridge)), strings.Join(about, "  ")))
		p.branches(out, n, "  "+bar)
	}
}

// branches are the containers. Where the width does not suffice, the links are left out first,
// then what is behind the name goes on below it.
func (p Picture) branches(out *show.Printer, n Network, indent string) {
	links, widest := true, [3]int{}
	for _, c := range n.Containers {
		for i, text := range []string{c.Name, show.Dash(c.Link), strings.Join(c.Addrs, " ")} {
			widest[i] = max(widest[i], len([]rune(text)))
		}
	}
	if room := out.Room(len([]rune(indent))+12, math.MaxInt); widest[0]+widest[1]+widest[2]+24 > room {
		links = false
	}
	for i, c := range n.Containers {
		branch := "├─"
		if i == len(n.Containers)-1 {
			branch = "└─"
		}
		dot := map[string]string{"ok": out.Good("●"), "foreign": out.Good("○"), "drift": out.Warn("◐"), "unsure": out.Warn("?")}[c.State]
		dot = cmp.Or(dot, out.Bad("✗"))
		text := fmt.Sprintf("%-*s", widest[2], strings.Join(c.Addrs, " "))
		if links {
			text = fmt.Sprintf("%-*s  %s", widest[1], show.Dash(c.Link), text)
		}
		if len(c.Ports) > 0 {
			text += "  " + out.Name("⇦ "+strings.Join(c.Ports, ", "))
		}
		out.Hang(fmt.Sprintf("%s   %s%s %-*s  ", indent, branch, dot, widest[0], c.Name), strings.TrimRight(text, " "))
	}
}

// DOT writes a graph for graphviz.
func (p Picture) DOT(w io.Writer) {
	fmt.Fprint(w, "digraph bridgeport {\n  rankdir=LR;\n  node [shape=box, style=rounded, fontname=\"Helvetica\"];\n  outside [shape=ellipse];\n")
	fmt.Fprintf(w, "  host [label=%q];\n", strings.Join(append([]string{p.Host}, p.uplinkTexts()...), "\n"))
	fmt.Fprintln(w, "  outside -> host [dir=both];")
	for i, n := range p.Networks {
		label := fmt.Sprintf("network %s\n%s %s", n.Name, n.Bridge, strings.Join(n.Gateways, " "))
		fmt.Fprintf(w, "  n%d [label=%q, style=filled, fillcolor=\"#e0ecff\"];\n", i, label)
		about := ""
		if n.Masquerade {
			about = " [label=\"masquerade\", dir=back]"
		}
		fmt.Fprintf(w, "  host -> n%d%s;\n", i, about)
		for j, c := range n.Containers {
			fmt.Fprintf(w, "  n%dc%d [label=%q%s];\n", i, j, strings.Join(append([]string{c.Name}, c.Addrs...), "\n"), map[bool]string{true: ", style=dashed"}[c.State == attachment.Orphan])
			fmt.Fprintf(w, "  n%d -> n%dc%d [label=%q];\n", i, i, j, strings.Join(c.Ports, "\n"))
		}
	}
	fmt.Fprintln(w, "}")
}

func (p Picture) uplinkTexts() (list []string) {
	for _, u := range p.Uplinks {
		list = append(list, u.Name+" "+strings.Join(u.Addrs, " "))
	}
	return list
}

// Mermaid writes a flowchart for Markdown.
func (p Picture) Mermaid(w io.Writer) {
	fmt.Fprintf(w, "flowchart LR\n  outside((outside)) <--> host[%q]\n", strings.Join(append([]string{p.Host}, p.uplinkTexts()...), "<br>"))
	for i, n := range p.Networks {
		about := ""
		if n.Masquerade {
			about = "|masquerade|"
		}
		fmt.Fprintf(w, "  host <-->%s n%d[[%q]]\n", about, i, strings.Join(append([]string{n.Name + " on " + n.Bridge}, n.Gateways...), "<br>"))
		for j, c := range n.Containers {
			about := ""
			if len(c.Ports) > 0 {
				about = fmt.Sprintf("|%q|", strings.Join(c.Ports, "<br>"))
			}
			fmt.Fprintf(w, "  n%d -->%s n%dc%d(%q)\n", i, about, i, j, strings.Join(append([]string{c.Name}, c.Addrs...), "<br>"))
		}
	}
}
