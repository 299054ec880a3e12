package main

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
)

// damage is step 6: somebody tampers with the firewall, and CHECK tells what.
func damage(w *world, p *page) bool {
	p.say("A runtime may ask at any time whether an attachment is still whole. CHECK looks at",
		"everything that ADD made, in the container and on the host.")
	fmt.Fprintln(p.out)
	for _, s := range []*stage.Space{w.red, w.blue} {
		p.check("CHECK "+s.Name, "whole", w.net.Check(s.Name, s.Path, eth, w.ports(s)))
	}
	p.say("", "Now somebody deletes blue's entry from the masquerade map:")
	p.typed("nft delete element inet bridgeport masquerade4 { 192.168.15.2 }")
	if !p.check("the entry is deleted", blueAddr, dropMasquerade(w.host, netip.MustParseAddr(blueAddr))) {
		return true
	}
	_, err := w.blue.Ping(outsideAddr, 300*time.Millisecond)
	p.fails("blue's way out", err, "no answer")
	err = w.net.Check(w.blue.Name, w.blue.Path, eth, w.ports(w.blue))
	p.fails("CHECK blue, naming what is missing", err, blueAddr, "masquerade")
	p.check("CHECK red, which nobody touched", "whole", w.net.Check(w.red.Name, w.red.Path, eth, nil))
	p.say("", "A runtime repairs by DEL and ADD. host-local hands out an address that was just",
		"freed last, so blue gets another one, and its port comes along.")
	fmt.Fprintln(p.out)
	return w.repair(p)
}

func (w *world) repair(p *page) bool {
	start := time.Now()
	err := w.net.Del(w.blue.Name, w.blue.Path, eth, w.ports(w.blue))
	p.check("DEL blue", "done in "+ms(time.Since(start)), err)
	if w.add(p, w.blue) == nil {
		return true // the last step shows whether that left anything
	}
	p.check("CHECK blue", "whole", w.net.Check(w.blue.Name, w.blue.Path, eth, w.ports(w.blue)))
	p.ping("blue pings the outside again", w.blue, outsideAddr)
	p.seen("the outside, at "+uplinkAddr+":80, again", w.outside, uplinkAddr+":80", outsideAddr)
	return true
}

// dropMasquerade deletes a container's entry, as nft(8) would.
func dropMasquerade(host *stage.Space, container netip.Addr) error {
	conn, err := nftables.New(nftables.WithNetNSFd(host.Fd()))
	if err != nil {
		return fmt.Errorf("nftables: connect: %w", err)
	}
	entries := &nftables.Set{
		Table:    &nftables.Table{Name: "bridgeport", Family: nftables.TableFamilyINet},
		Name:     "masquerade4",
		IsMap:    true,
		KeyType:  nftables.TypeIPAddr,
		DataType: nftables.TypeVerdict,
	}
	if err := conn.SetDeleteElements(entries, []nftables.SetElement{{Key: container.AsSlice()}}); err != nil {
		return fmt.Errorf("masquerade4: delete %s: %w", container, err)
	}
	if err := conn.Flush(); err != nil {
		return fmt.Errorf("masquerade4: delete %s: %w", container, err)
	}
	return nil
}
