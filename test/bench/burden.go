package main

import (
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"
)

const (
	partForeign = "foreign rules"
	partLeases  = "leases"
	partEgress  = "egress"
	partMapping = "mappings"
	services    = 1000 // five rules each
)

// foreign measures lives on hosts with no rules of others and with 5,000, in turns.
func (r *rig) foreign() error {
	byRules := make(map[int][]*host)
	for _, rules := range []int{0, 5 * services} {
		progress("%d foreign rules", rules)
		for _, v := range append(append([]variant{}, references...), ours...) {
			h, err := r.newHost(v, fmt.Sprintf("foreign%d", rules), false)
			if err != nil {
				return err
			}
			if rules > 0 {
				if _, err := h.program(foreignRules(), "iptables-restore", "--noflush"); err != nil {
					return err
				}
			}
			byRules[rules] = append(byRules[rules], h)
		}
	}
	return r.inTurns(partForeign, byRules, []int{0, 5 * services})
}

// inTurns measures one life at each size after the other, again and again, so that
// sizes are compared as fairly as variants.
func (r *rig) inTurns(part string, bySize map[int][]*host, sizes []int) error {
	for round := range r.scope.burdens + 1 {
		for i := range sizes {
			size := sizes[(i+round)%len(sizes)]
			if err := r.round(part, size, round, bySize[size], 1); err != nil {
				return err
			}
		}
	}
	return nil
}

// foreignRules are of the shape that kube-proxy gives them: a list of services, each a
// chain that chooses an endpoint, each a chain that translates.
func foreignRules() string {
	var chains, rules strings.Builder
	chains.WriteString("*nat\n:KUBE-SERVICES - [0:0]\n")
	rules.WriteString("-A PREROUTING -m comment --comment \"kubernetes service portals\" -j KUBE-SERVICES\n")
	addr := netip.MustParseAddr("10.96.0.1")
	pod := netip.MustParseAddr("10.244.0.1")
	for i := range services {
		svc, sep := fmt.Sprintf("KUBE-SVC-%016X", i), fmt.Sprintf("KUBE-SEP-%016X", i)
		fmt.Fprintf(&chains, ":%s - [0:0]\n:%s - [0:0]\n", svc, sep)
		fmt.Fprintf(&rules, "-A KUBE-SERVICES -d %s/32 -p tcp -m comment --comment \"ns/svc%d:http cluster IP\" -m tcp --dport 80 -j %s\n", addr, i, svc)
		fmt.Fprintf(&rules, "-A %s ! -s 10.244.0.0/16 -d %s/32 -p tcp -m tcp --dport 80 -j MARK --set-xmark 0x4000/0x4000\n", svc, addr)
		fmt.Fprintf(&rules, "-A %s -m comment --comment \"ns/svc%d:http\" -j %s\n", svc, i, sep)
		fmt.Fprintf(&rules, "-A %s -s %s/32 -j MARK --set-xmark 0x4000/0x4000\n", sep, pod)
		fmt.Fprintf(&rules, "-A %s -p tcp -m tcp -j DNAT --to-destination %s:8080\n", sep, pod)
		addr, pod = addr.Next(), pod.Next()
	}
	return chains.String() + rules.String() + "COMMIT\n"
}

// manyLeases measures lives in networks with few and many leases, whose files are as
// the reference writes them. Rules are not multiplied.
func (r *rig) manyLeases() error {
	bySize := make(map[int][]*host)
	for _, n := range r.scope.leases {
		progress("%d leases", n)
		for _, v := range []variant{references[0], ours[0], ours[1]} {
			h, err := r.newHost(v, fmt.Sprintf("leases%d", n), false)
			if err != nil {
				return err
			}
			if err := h.fillLeases(n); err != nil {
				return err
			}
			bySize[n] = append(bySize[n], h)
		}
	}
	return r.inTurns(partLeases, bySize, r.scope.leases)
}

func (h *host) fillLeases(n int) error {
	dir := filepath.Join(h.leases(), networkName)
	if err := os.MkdirAll(dir, 0o755); err != nil {
		return err
	}
	addr := netip.MustParseAddr(gateway4)
	for i := range n {
		addr = addr.Next()
		if err := os.WriteFile(filepath.Join(dir, addr.String()), []byte(attachment{number: -i - 1}.lease()), 0o600); err != nil {
			return err
		}
	}
	return os.WriteFile(filepath.Join(dir, "last_reserved_ip.0"), []byte(addr.String()), 0o600)
}

// ownEgress is ours with a list for each container that no other container has.
const ownEgress = "ours one plugin, own list"

// egressLists measures lives without a list of destinations and with 100: of the network, and of the
// container alone.
func (r *rig) egressLists() error {
	bound := ours[1]
	bound.bound = true
	lists, own := bound, bound
	lists.entries = entries
	own.entries, own.own, own.name = entries, true, ownEgress
	var hosts []*host
	for _, v := range []variant{bound, lists, own} {
		h, err := r.newHost(v, fmt.Sprintf("egress%d", v.entries), false)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	for round := range r.scope.lists + 1 {
		for i := range hosts {
			h := hosts[(i+round)%len(hosts)]
			if err := r.rest(); err != nil {
				return err
			}
			if err := r.round(partEgress, h.entries, round, []*host{h}, 1); err != nil {
				return err
			}
		}
	}
	return nil
}

const entries = 100

// egress is a list of so many subnets, of two protocols and three ports; number makes it another one.
func egress(entries, number int) object {
	list := make([]object, entries)
	for i := range list {
		list[i] = object{"to": fmt.Sprintf("198.%d.%d.0/24", 18+number%200, i), "protocol": []string{"tcp", "udp"}[i%2], "ports": []any{53, "443-445"}}
	}
	return object{"default": "deny", "allow": list}
}

// manyMappings measures an ADD and a DEL with many published ports, of both protocols in turns.
func (r *rig) manyMappings() error {
	var hosts []*host
	for _, v := range ours[:2] { // the reference takes minutes
		h, err := r.newHost(v, "mappings", false)
		if err != nil {
			return err
		}
		hosts = append(hosts, h)
	}
	for round := range r.scope.burdens + 1 {
		for i := range hosts {
			h := hosts[(i+round)%len(hosts)]
			for _, ports := range []int{1000, 20_000} {
				for _, udp := range []bool{false, true} {
					if ports == 20_000 && (udp || round > 2) {
						continue // of no target
					}
					if err := r.mapping(h, round, ports, udp); err != nil {
						return err
					}
				}
			}
		}
	}
	return nil
}

// withUDP is the name of a verb with ports of UDP.
const withUDP = ", UDP"

func (r *rig) mapping(h *host, round, ports int, udp bool) error {
	c, err := h.container(0)
	if err != nil {
		return err
	}
	progress("%d mappings, UDP %t: %s", ports, udp, h.name)
	a := attachment{number: round, netns: c.Path, ports: ports, udp: udp}
	for _, verb := range []string{"ADD", "DEL"} {
		m, err := h.call(verb, a)
		if err != nil {
			return err
		}
		if udp {
			verb += withUDP
		}
		if round > 0 {
			r.results.cost(key{partMapping, h.name, verb, ports, ports}, m)
		}
		time.Sleep(pause)
	}
	return nil
}
