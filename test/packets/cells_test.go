package packets_test

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
)

// asked and answered count the cells of the run.
var asked, answered atomic.Int32

// cell is one way to a published port.
type cell struct {
	backend, hostIP, flag, protocol string
	client, by, brNetfilter         string
	ipv6                            bool
	want                            string
}

func (c cell) family() string {
	if c.ipv6 {
		return "IPv6"
	}
	return "IPv4"
}

func (c cell) String() string {
	return fmt.Sprintf("%s, hostIP %s, %s, %s over %s, br_netfilter %s: %s asks %s",
		c.backend, c.hostIP, c.flag, c.protocol, c.family(), c.brNetfilter, c.client, c.by)
}

// cells are those of one published container and one protocol.
func cells(b backend, ip hostIP, flagIndex int, protocol, brNetfilter string) (list []cell) {
	for _, ipv6 := range []bool{false, true} {
		known := make(map[[2]string]int)
		for _, r := range table {
			c := cell{
				backend: b.String(), hostIP: ip.name, flag: flags[flagIndex].name, protocol: protocol,
				client: r.client, brNetfilter: brNetfilter, ipv6: ipv6,
			}
			if !strings.Contains(r.brNetfilter, brNetfilter) || r.onlyIn != "" && r.onlyIn != b.name+" "+c.family() {
				continue
			}
			for _, c.by = range r.by {
				c.want = refused
				if slices.Contains(ip.answers, c.by) {
					c.want = r.seen[flagIndex]
				}
				key := [2]string{c.client, c.by}
				if i, again := known[key]; again {
					list[i] = c
					continue
				}
				known[key] = len(list)
				list = append(list, c)
			}
		}
	}
	return list
}

// atOnce is how many cells are asked at a time: silence takes long.
const atOnce = 24

// askAll asks each cell and returns the answers in the same order.
func (t *town) askAll(list []cell) []string {
	GinkgoHelper()
	answers := make([]string, len(list))
	places := make(chan bool, atOnce)
	var all sync.WaitGroup
	for i, c := range list {
		places <- true
		all.Go(func() {
			patience := Patience
			if c.want == silence {
				patience = Haste
			}
			answers[i] = t.ask(c, patience)
			<-places
		})
	}
	all.Wait()
	return answers
}

var _ = Describe("the packet table:", func() {
	for _, b := range backends {
		for _, ip := range hostIPs {
			for i, f := range flags {
				Describe(fmt.Sprintf("%s, hostIP %s, %s:", b, ip.name, f.name), Ordered, func() { describeTown(b, ip, i) })
			}
		}
	}
})

func describeTown(b backend, ip hostIP, flagIndex int) {
	var t *town
	protocols := []string{"tcp", "udp"}
	if HasSCTP() {
		protocols = append(protocols, "sctp")
	}
	BeforeAll(func() { t = newTown("", b, ip, flags[flagIndex], protocols) })
	for _, protocol := range []string{"tcp", "udp", "sctp"} {
		It(protocol, func() {
			if !slices.Contains(protocols, protocol) {
				Missing(GinkgoT(), "SCTP")
			}
			var wrong []string
			for _, setting := range []string{off, on} {
				t.BridgeNetfilter(setting)
				list := cells(b, ip, flagIndex, protocol, setting)
				for i, got := range t.askAll(list) {
					asked.Add(1)
					if got != silence && got != refused {
						answered.Add(1)
					}
					if c := list[i]; got != t.wants(c) {
						wrong = append(wrong, fmt.Sprintf("%s: got %s, want %s (%s)", c, got, c.want, t.wants(c)))
					}
				}
			}
			if len(wrong) > 0 {
				Fail(strings.Join(wrong, "\n"))
			}
		})
	}
}
