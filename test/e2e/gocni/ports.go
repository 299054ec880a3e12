package main

import (
	"errors"
	"fmt"
	"regexp"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// port is a published one, with go-cni's names.
type port struct {
	HostPort, ContainerPort int
	Protocol, HostIP        string
}

// publish reads what follows -p: [IP:]HOST[-HOST]:CONTAINER[-CONTAINER][/PROTOCOL]. As
// nerdctl it makes one mapping of each port, and of no address 0.0.0.0.
func publish(texts ...string) (list []port) {
	for _, text := range texts {
		text, protocol, _ := strings.Cut(text, "/")
		if protocol == "" {
			protocol = "tcp"
		}
		i := strings.LastIndex(text, ":")
		host, container := text[:i], text[i+1:]
		ip := "0.0.0.0"
		if i := strings.LastIndex(host, ":"); i >= 0 {
			ip, host = strings.Trim(host[:i], "[]"), host[i+1:]
		}
		first, last, _ := strings.Cut(host, "-")
		to, _, _ := strings.Cut(container, "-")
		low, target := number(first), number(to)
		for n := low; n <= max(low, number(last)); n++ {
			list = append(list, port{n, target + n - low, protocol, ip})
		}
	}
	return list
}

// number is 0 for no number: portmap refuses such a port.
func number(text string) int {
	n, _ := strconv.Atoi(text)
	return n
}

var dports = regexp.MustCompile(`--dports ((?:,?\d+)+)`)

// free chooses a port as nerdctl does: the first from 49153 on that no socket of the host
// has, and no rule of the reference's chain.
func (t *test) free() (string, error) {
	used := make(map[int]bool)
	sockets, err := t.node.Run("cat", "/proc/net/tcp", "/proc/net/tcp6")
	for line := range strings.Lines(sockets) {
		fields := strings.Fields(line)
		if len(fields) < 2 {
			continue
		}
		if i := strings.LastIndex(fields[1], ":"); i >= 0 {
			n, _ := strconv.ParseUint(fields[1][i+1:], 16, 16) // 0 of the head line
			used[int(n)] = true
		}
	}
	if t.programs {
		// Without the chain there is no rule.
		rules, _ := t.node.Run("iptables", "-t", "nat", "-S", "CNI-HOSTPORT-DNAT")
		for _, m := range dports.FindAllStringSubmatch(rules, -1) {
			for text := range strings.SplitSeq(m[1], ",") {
				used[number(text)] = true
			}
		}
	}
	n := 49153
	for used[n] {
		n++
	}
	return strconv.Itoa(n), err
}

// runAny is `nerdctl run -d -p 80`. Of the container it returns the port, too.
func (t *test) runAny(name string, hold bool) (*container, string, error) {
	chosen, err := t.free()
	if err != nil {
		return nil, "", err
	}
	c, err := t.run(name, wish{Ports: publish(chosen + ":80"), Hold: hold})
	return c, chosen, err
}

// automatic is about ports that nerdctl chooses. Without a process that holds them,
// as before nerdctl 2.1.6, it does not see those of the backend nftables.
func (t *test) automatic() {
	if t.nftables {
		t.Do("-p 80 without a holder: the next container is given the same port, and refused", func() error {
			c, chosen, err := t.runAny("blind", false)
			if err == nil {
				err = t.fails("blinded", wish{Ports: publish(chosen + ":80")}, "hostPort "+chosen+"/tcp", c.id)
			}
			return errors.Join(err, t.client().Seen("tcp", kit.NodeV4, chosen, kit.ClientV4), remove(c))
		})
	} else {
		t.chosen("-p 80 without a holder: two ports, and the first again after its container", false)
	}
	t.chosen("-p 80 with a process that holds the port: the same", true)
	t.Do("doctor finds nothing, also beside such a process", t.heldWell)
}

func (t *test) chosen(what string, hold bool) {
	t.Check(what, func() (string, error) {
		var list []*container
		var ports []string
		defer func() { _ = remove(list...) }() // after an error; else there are none
		for i := range 2 {
			c, chosen, err := t.runAny(fmt.Sprint("any", i), hold)
			list, ports = append(list, c), append(ports, chosen)
			if err != nil {
				return "", err
			}
		}
		err := list[0].remove()
		if err != nil {
			return "", err
		}
		c, again, err := t.runAny("again", hold)
		list[0] = c
		if err == nil && (ports[0] == ports[1] || again != ports[0]) {
			err = fmt.Errorf("the ports are %v, then %s", ports, again)
		}
		for _, p := range ports {
			err = errors.Join(err, t.client().Seen("tcp", kit.NodeV4, p, kit.ClientV4))
		}
		err = errors.Join(err, remove(list...))
		list = nil
		return strings.Join(ports, " "), err
	})
}

// heldWell runs doctor beside a holder.
func (t *test) heldWell() error {
	c, err := t.run("held", wish{Ports: publish("8090:80", "8090:80/udp"), Hold: true})
	if err != nil {
		return errors.Join(err, remove(c))
	}
	_, err = t.node.Run(kit.Repo("bin/bridgeport"), "doctor")
	return errors.Join(err, t.client().Seen("udp", kit.NodeV4, "8090", kit.ClientV4), c.remove())
}
