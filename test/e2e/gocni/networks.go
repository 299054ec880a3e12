package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// network is one that nerdctl makes.
type network struct {
	name    string
	bridge  string
	subnets []string
}

func (n network) file() string { return confDir + "nerdctl-" + n.name + ".conflist" }

// list is the network's file: bridge, portmap, firewall and tuning.
func (n network) list() (string, error) {
	var ranges [][]object
	routes := []object{{"dst": "0.0.0.0/0"}}
	bridge := object{"type": "bridge", "bridge": n.bridge, "isGateway": true, "ipMasq": true, "hairpinMode": true}
	for _, subnet := range n.subnets {
		p, err := netip.ParsePrefix(subnet)
		if err != nil {
			return "", err
		}
		ranges = append(ranges, []object{{"subnet": subnet, "gateway": p.Addr().Next().String()}})
		if p.Addr().Is6() {
			routes = append(routes, object{"dst": "::/0"})
			bridge["capabilities"] = object{"ips": true}
		}
	}
	bridge["ipam"] = object{"type": "host-local", "ranges": ranges, "routes": routes}
	text, err := json.Marshal(object{
		"cniVersion": "1.0.0", "name": n.name, "nerdctlID": fmt.Sprintf("%x", sha256.Sum256([]byte(n.name))), "nerdctlLabels": object{},
		"plugins": []object{
			bridge,
			{"type": "portmap", "capabilities": object{"portMappings": true}},
			{"type": "firewall", "ingressPolicy": "same-bridge"},
			{"type": "tuning"},
		},
	})
	return string(text), err
}

// create is `nerdctl network create`.
func (t *test) create(n network) error {
	text, err := n.list()
	return errors.Join(err, t.node.Write(n.file(), text))
}

// rm is `nerdctl network rm`: the file and the bridge go.
func (t *test) rm(n network) error {
	return errors.Join(os.Remove(t.node.Root(n.file())), t.node.Space.Do(func() error {
		link, err := netlink.LinkByName(n.bridge)
		if err != nil {
			return err
		}
		return netlink.LinkDel(link)
	}))
}

// own is the network that nerdctl makes for itself, with the reference's firewall.
func (t *test) own() {
	n := network{"bridge", "nerdctl0", []string{"10.4.0.0/24"}}
	if !t.programs {
		t.Do("nerdctl's own network: firewall fails without iptables, in DEL, too; bridgeport gc removes the rest", func() error {
			err := errors.Join(t.create(n), t.fails("own", wish{Files: []string{n.file()}, Ports: publish("8084:80")}, "firewall", "iptables"))
			if t.node.ExpectUnattached() == nil {
				err = errors.Join(err, errors.New("nothing was left"))
			}
			return errors.Join(err, t.collect(), t.rm(n))
		})
		return
	}
	t.Do("nerdctl's own network, unedited: a port, a neighbour, the way out", func() error {
		return errors.Join(t.create(n), t.used(n, "8084"))
	})
	t.Do("once more: what firewall keeps does not grow; `network rm`, then nothing is left", func() error {
		before, err := t.node.Settled()
		return errors.Join(err, t.used(n, "8084"), t.node.ExpectState(before), t.node.ExpectUnattached(), t.rm(n), t.hasLink(n.bridge, false), t.settle())
	})
}

// collect is `bridgeport gc`; nerdctl calls no GC.
func (t *test) collect() error {
	_, err := t.node.Run(kit.Repo("bin/bridgeport"), "gc", "--grace", "0s")
	return errors.Join(err, t.node.ExpectUnattached(), t.settle())
}

// settle takes the state anew: the reference's firewall keeps its chains.
func (t *test) settle() (err error) {
	t.idle, err = t.node.Settled()
	return err
}

// used runs two containers on a network, and removes them.
func (t *test) used(n network, hostPort string) error {
	w := wish{Files: []string{n.file()}, Ports: publish(hostPort + ":80")}
	a, err := t.run(n.name+"-a", w)
	if err != nil {
		return errors.Join(err, remove(a))
	}
	b, err := t.run(n.name+"-b", wish{Files: w.Files, Ports: publish("8089:80")})
	if err != nil {
		return errors.Join(err, remove(a, b))
	}
	err = errors.Join(t.client().Seen("tcp", kit.NodeV4, hostPort, kit.ClientV4), t.node.Space.Seen("tcp", "127.0.0.1", hostPort),
		t.outward(a, kit.ClientV4, kit.NodeV4))
	if len(n.subnets) > 1 {
		err = errors.Join(err, t.outward(a, kit.ClientV6, kit.NodeV6))
	}
	return errors.Join(err, a.in(func(space *stage.Space) error {
		addrs, err := kit.Addresses(space)
		for _, addr := range addrs {
			err = errors.Join(err, reaches(b, addr))
		}
		if err == nil && len(addrs) != len(n.subnets) {
			err = fmt.Errorf("addresses %v of %v", addrs, n.subnets)
		}
		return err
	}), remove(a, b))
}

// created are networks that a person makes.
func (t *test) created() {
	if !t.programs {
		return // as own
	}
	defer t.gone()
	for _, n := range []network{
		{"backend", "br-5c4f2f4a1b2c", []string{"10.4.7.0/24"}},
		{"dual", "br-0123456789ab", []string{"10.4.8.0/24", "fd00:4:8::/64"}},
	} {
		t.Do(fmt.Sprintf("network create %v: used, removed, made again, used, removed", n.subnets), func() error {
			if err := errors.Join(t.create(n), t.used(n, "8085"), t.rm(n)); err != nil {
				return err
			}
			before, err := t.node.Settled()
			return errors.Join(err, t.create(n), t.used(n, "8085"), t.rm(n), t.node.ExpectUnattached(), t.node.ExpectState(before), t.settle())
		})
	}
}

// gone is about the rules of networks that were removed.
func (t *test) gone() {
	t.Do("bridgeport gc: no rule names a network that was removed", func() error {
		err := t.collect()
		for key, text := range t.idle {
			for _, name := range []string{"-backend-", "-dual-"} {
				if strings.HasPrefix(key, "nft ") && strings.Contains(key+text, name) {
					err = errors.Join(err, fmt.Errorf("left: %s", key))
				}
			}
		}
		return err
	})
}

// parallel is a container on two networks: go-cni attaches both at once, with the same ports.
// UDP is left out: a server of every address answers by its first default route, with that
// link's address, whichever network has the port.
func (t *test) parallel() {
	text, err := os.ReadFile(t.node.Root(sampleFile))
	second := network{"second", "nerdctl2", nil}
	t.Do("--network twice: both at once, with the same port, five times", func() error {
		if err := errors.Join(err, t.node.Write(second.file(), like(string(text)))); err != nil {
			return err
		}
		w := wish{Files: []string{sampleFile, second.file()}, Ports: publish("8086:80")}
		for i := range 5 {
			c, err := t.run(fmt.Sprint("two", i), w)
			if err == nil {
				err = t.client().Seen("tcp", kit.NodeV4, "8086", kit.ClientV4)
			}
			if err = errors.Join(err, remove(c)); err != nil {
				return err
			}
		}
		return errors.Join(t.node.ExpectUnattached(), t.rm(second))
	})
}

// like is a second network like the sample's.
func like(sample string) string {
	return strings.NewReplacer(`"bridgeport"`, `"second"`, "nerdctl1", "nerdctl2", "10.4.1.", "10.4.2.", "fd00:4:1:", "fd00:4:2:").Replace(sample)
}
