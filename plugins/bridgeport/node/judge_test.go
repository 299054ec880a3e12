package node_test

import (
	"fmt"
	"net/netip"
	"os"
	"testing"

	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// TestMain moves the tests into namespaces of their own, where it may.
func TestMain(m *testing.M) { stage.MainIfRoot(m.Run) }

// TestJudge: what a packet meets in others' chains at the forward hook, and where that is not known.
func TestJudge(t *testing.T) {
	uplink, cni0 := &node.Link{Name: "uplink"}, &node.Link{Name: "cni0", Kind: "bridge"}
	packet := node.Forwarded{
		In: uplink, Out: cni0, IPv4: true, Protocol: unix.IPPROTO_TCP, Translated: true,
		From: netip.MustParseAddrPort("203.0.113.9:40000"), To: netip.MustParseAddrPort("10.60.0.2:80"),
	}
	plain := packet
	plain.Translated = false
	unknown := node.Forwarded{Out: cni0, IPv4: true, Protocol: unix.IPPROTO_TCP, Translated: true}
	six := packet
	six.IPv4, six.From, six.To = false, netip.MustParseAddrPort("[2001:db8::9]:40000"), netip.MustParseAddrPort("[fd60::2]:80")
	const passes, drops, may = "", "drops", "may drop"
	for name, tt := range map[string]struct {
		policy, rules string
		packet        node.Forwarded
		want          string
	}{
		"nothing":                     {"accept", "", packet, passes},
		"a policy":                    {"drop", "", packet, drops},
		"published ports are let in":  {"drop", "ct status dnat accept", packet, passes},
		"and others not":              {"drop", "ct status dnat accept", plain, drops},
		"strict about ports":          {"accept", "ct status dnat jump strict", packet, drops},
		"which others do not meet":    {"accept", "ct status dnat jump strict", plain, passes},
		"replies alone":               {"drop", "ct state established,related accept", packet, drops},
		"a set of states":             {"drop", "ct state { established, new } accept", packet, passes},
		"a set without the state":     {"drop", "ct state { established, related } accept", packet, drops},
		"the link":                    {"accept", `oifname "cni0" drop`, packet, drops},
		"another link":                {"accept", `oifname "cni1" drop`, packet, passes},
		"links that begin so":         {"accept", `iifname "up*" drop`, packet, drops},
		"not this link":               {"accept", `iifname != "uplink" drop`, packet, passes},
		"a link that is not known":    {"accept", `iifname "uplink" drop`, unknown, may},
		"a set of links":              {"accept", `oifname { "cni0", "cni1" } reject`, packet, drops},
		"a prefix":                    {"accept", "ip daddr 10.60.0.0/16 drop", packet, drops},
		"an odd prefix":               {"accept", "ip saddr 203.0.113.8/29 drop", packet, drops},
		"another prefix":              {"accept", "ip daddr 10.61.0.0/16 drop", packet, passes},
		"an address that is unknown":  {"accept", "ip saddr 203.0.113.9 drop", unknown, may},
		"a set of prefixes":           {"accept", "ip saddr { 192.0.2.0/24, 203.0.113.0/24 } drop", packet, drops},
		"one without":                 {"accept", "ip saddr { 192.0.2.0/24, 203.0.114.0/24 } drop", packet, passes},
		"ports":                       {"accept", "tcp dport 80-90 drop", packet, drops},
		"other ports":                 {"accept", "tcp dport { 443, 8080 } drop", packet, passes},
		"a map of links":              {"accept", `oifname vmap { "cni0" : jump strict, "cni1" : accept }`, packet, drops},
		"a map of others":             {"accept", `oifname vmap { "cni1" : drop }`, packet, passes},
		"another protocol":            {"accept", "meta l4proto udp drop", packet, passes},
		"a mark":                      {"accept", "meta mark 7 drop", packet, may},
		"a mark lets in":              {"drop", "meta mark 7 accept", packet, may},
		"accepted before":             {"accept", "accept; drop", packet, passes},
		"a chain that comes back":     {"accept", "jump back; drop", packet, drops},
		"a chain that does not":       {"accept", "goto back; drop", packet, passes},
		"a chain that lets some back": {"accept", "jump marked; drop", packet, may},
		"counted and limited":         {"accept", "counter limit rate 1/second drop", packet, may},
		"a loop of jumps is none":     {"accept", "jump deep; drop", packet, drops},
		"IPv6":                        {"accept", "ip6 daddr fd60::/16 drop", six, drops},
		"IPv4 alone":                  {"accept", "ip saddr 0.0.0.0/0 drop", six, passes},
	} {
		t.Run(name, func(t *testing.T) {
			if os.Geteuid() != 0 {
				t.Skip("needs root to make network namespaces")
			}
			s := stage.OpenSpace(t, "judge")
			stage.Program(s, fmt.Sprintf(`table inet mine {
				chain deep { jump back; }
				chain marked { meta mark 7 accept; }
				chain back { return; }
				chain strict { oifname "cni0" reject; }
				chain f { type filter hook forward priority 0; policy %s; %s; }
			}`, tt.policy, tt.rules), "nft", "-f", "-")
			var list []node.Judgement
			if err := s.Do(func() error {
				chains, err := node.Chains()
				list = node.NewJudge(chains).Of(tt.packet)
				return err
			}); err != nil {
				t.Fatal(err)
			}
			got := passes
			for _, j := range list {
				if got = may; j.Drops {
					got = drops
				}
			}
			if got != tt.want {
				t.Errorf("got %q, want %q: %+v", got, tt.want, list)
			}
		})
	}
}
