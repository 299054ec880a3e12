package main

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
)

// farewell is step 7: everything is taken down, and the host is as it was.
func farewell(w *world, p *page) bool {
	p.say("DEL takes away what belongs to one container. GC with an empty list of containers",
		"says that the network is retired: what they shared goes too.")
	p.typed(
		"ip netns del red; ip netns del blue",
		"iptables -t nat -D ...   # each rule, typed once more",
		"ip link del v-net-0",
		"sysctl -w net.ipv4.ip_forward=0   # was it 0 before?")
	for _, s := range []*stage.Space{w.red, w.blue} {
		start := time.Now()
		err := w.net.Del(s.Name, s.Path, eth, w.ports(s))
		p.check("DEL "+s.Name, "done in "+ms(time.Since(start)), err)
		found, err := hasLink(s, eth)
		p.equal(eth+" inside "+s.Name, map[bool]string{true: "there", false: "gone"}[found], "gone", err)
	}
	start := time.Now()
	err := w.net.GC([]types.GCAttachment{})
	p.check("GC, no container is left", "done in "+ms(time.Since(start)), err)
	after, err := w.snapshot()
	if err == nil {
		err = leftovers(snapshot.Diff(w.before, after))
	}
	p.check("the host is as it was before step 1", fmt.Sprintf("all %d facts are equal", len(w.before)), err)
	p.say("", "Compared are links, addresses, routes, firewall, sysctls and leases. host-local keeps",
		"its lock file, the last address it handed out and its index on purpose: they make",
		"addresses rotate.")
	return true
}

func leftovers(diff []string) error {
	if len(diff) == 0 {
		return nil
	}
	return errors.New(strings.Join(diff, "\n"))
}
