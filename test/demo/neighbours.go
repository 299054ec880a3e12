package main

import (
	"fmt"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// neighbours is step 2: the containers see each other.
func neighbours(w *world, p *page) bool {
	p.say("On one switch nobody routes: red asks by ARP who has blue's address, and its",
		"packets go straight to blue's network card.")
	p.typed(
		"ip netns exec red ping 192.168.15.2",
		"ip netns exec blue ping 192.168.15.1",
		"ip netns exec red arp")
	p.ping("red pings blue", w.red, blueAddr)
	p.ping("blue pings red", w.blue, redAddr)
	line, err := neighbour(w.red, blueAddr)
	p.check("red's ARP entry of blue", line, err)
	return true
}

// ping is a check that dst answers.
func (p *page) ping(what string, from *stage.Space, dst string) {
	rtt, err := from.Ping(dst, patience)
	p.check(what, fmt.Sprintf("%s answers in %d µs", dst, rtt.Microseconds()), err)
}

func neighbour(s *stage.Space, ip string) (string, error) {
	lines, err := s.Neighbors(eth)
	if err != nil {
		return "", err
	}
	for _, l := range lines {
		if strings.HasPrefix(l, ip+" lladdr ") {
			return l, nil
		}
	}
	return "", fmt.Errorf("no entry among: %s", orNothing(strings.Join(lines, "; ")))
}
