package graph

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"os"
	"regexp"
	"strings"
	"testing"
)

// odd is a picture of what seldom comes together: several networks and uplinks, long
// names, every state, a network without containers.
func odd() Picture {
	p := Picture{
		Host: "node-with-a-rather-long-name.example.internal",
		Uplinks: []Uplink{
			{Name: "eth0", Addrs: []string{"203.0.113.2", "2001:db8:f::2"}}, {Name: "wg0", Addrs: []string{"100.64.0.7"}},
		},
		Networks: []Network{{Name: "empty", Bridge: "br-empty"}, {Name: "podnet", Bridge: "cni0", Gateways: []string{"10.244.1.1/24", "fd00:10:244:1::1/64"}, Masquerade: true}},
	}
	for i, state := range []string{"ok", "drift", "orphan", "unsure", "foreign", "ok", "ok"} {
		c := Container{Name: fmt.Sprintf("kube-system/coredns-7db6d8ff4d-%d", i), IF: "eth0", State: state, Addrs: []string{fmt.Sprintf("10.244.1.%d", i+2), "fd00:10:244:1:aaaa:bbbb:cccc:1234"}}
		if state != "orphan" {
			c.Link = "veth0123456789a"
		}
		for j := range i {
			c.Ports = append(c.Ports, fmt.Sprintf("%d→%d/tcp", 8000+j, 80+j))
		}
		p.Networks[1].Containers = append(p.Networks[1].Containers, c)
	}
	many := Network{Name: "a-network-with-<angle>&name", Bridge: "br-1234567890ab", Gateways: []string{"10.89.0.1/24"}}
	for i := range 40 {
		many.Containers = append(many.Containers, Container{Name: fmt.Sprintf("a-container-with-a-long-name-%d", i), State: "ok", Link: "v", Addrs: []string{fmt.Sprintf("10.89.0.%d", i), fmt.Sprintf("fd00:89::%x", i)}, Ports: []string{"203.0.113.2:30000→30000/udp"}[:i%2]})
	}
	p.Networks = append(p.Networks, many)
	return p
}

func TestSVG(t *testing.T) {
	for name, p := range map[string]Picture{"odd": odd(), "nothing": {Host: "h"}} {
		var b bytes.Buffer
		if err := p.SVG(&b); err != nil {
			t.Fatal(err)
		}
		if dir := os.Getenv("SVG_DIR"); dir != "" { // to look at
			if err := os.WriteFile(dir+"/"+name+".svg", b.Bytes(), 0o644); err != nil {
				t.Fatal(err)
			}
		}
		d := xml.NewDecoder(&b)
		var text strings.Builder
		for {
			token, err := d.Token()
			if errors.Is(err, io.EOF) {
				break
			}
			if err != nil {
				t.Fatalf("%s: %v", name, err)
			}
			if el, ok := token.(xml.StartElement); ok {
				for _, a := range el.Attr {
					if colour := regexp.MustCompile(`^#[0-9a-f]{6}$`); (a.Name.Local == "fill" || a.Name.Local == "stroke") && colour.MatchString(a.Value) && dark[a.Value] == "" {
						t.Errorf("%s: %s is not exchanged for a dark background", name, a.Value)
					}
				}
			}
			if chars, ok := token.(xml.CharData); ok {
				text.Write(chars)
			}
		}
		if name == "odd" && !strings.Contains(text.String(), "fd00:89::27") {
			t.Error("no IPv6 address in small cards")
		}
		for _, n := range p.Networks {
			if !strings.Contains(text.String(), n.Bridge) {
				t.Errorf("%s: bridge %s is not drawn", name, n.Bridge)
			}
		}
	}
}
