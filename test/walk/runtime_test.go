package walk

import (
	"encoding/json"
	"fmt"
	"net/netip"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// attachment is a link of a container to a network.
type attachment struct {
	net     *network
	plugins []stage.Conf // of the network, at the time of ADD
	box     *box
	ifName  string
	ports   []map[string]any
	hand    []map[string]any // ports that were added by hand
	result  json.RawMessage
	addrs   []netip.Addr
	mtu     int  // of the bridge, at the time of ADD
	masq    bool // likewise
	// unleased says that somebody has removed the lease.
	unleased bool
}

// forgotten says that nothing is left of the attachment's addresses: others may have them.
func (a *attachment) forgotten() bool { return a.unleased && a.box.lost }

func (a *attachment) String() string { return a.net.name + "/" + a.box.ID + "/" + a.ifName }

// same says whether both are the same attachment for the plugins.
func (a *attachment) same(b *attachment) bool { return a.String() == b.String() }

// asks is what a call is made with.
type asks struct {
	plugins []stage.Conf
	netns   string
	ports   []map[string]any
	prev    json.RawMessage
}

func (a *attachment) asAdded() asks {
	return asks{plugins: a.plugins, netns: a.box.Path, ports: a.ports, prev: a.result}
}

// call runs one plugin for an attachment.
func (w *world) call(command string, a *attachment, q asks, plugin, more stage.Conf) (stage.Answer, error) {
	return w.run(stage.Call{
		Plugin: plugin.Plugin(), Command: command, ContainerID: a.box.ID, Netns: q.netns,
		IfName: a.ifName, Config: a.net.stdin(plugin, q.ports, more),
	})
}

func (w *world) run(c stage.Call) (stage.Answer, error) {
	answer := w.Run(c)
	if answer.Exit != 0 {
		return answer, &callError{command: c.Command, plugin: c.Plugin, answer: answer}
	}
	return answer, nil
}

type callError struct {
	command, plugin string
	answer          stage.Answer
}

func (e *callError) Error() string {
	return fmt.Sprintf("%s %s: %s%s", e.plugin, e.command, e.answer.Stdout, e.answer.Stderr)
}

// code is the one of the error object, 0 without one.
func (e *callError) code() uint {
	if e.answer.Err == nil {
		return 0
	}
	return e.answer.Err.Code
}

// add runs the list forwards. An error is a *callError.
func (w *world) add(a *attachment) error {
	q := asks{plugins: a.plugins, netns: a.box.Path, ports: a.ports}
	for _, p := range q.plugins {
		answer, err := w.call("ADD", a, q, p, prevResult(a.result))
		if err != nil {
			return err
		}
		a.result = answer.Stdout
	}
	var r struct {
		IPs []struct {
			Address string `json:"address"`
		} `json:"ips"`
	}
	if err := json.Unmarshal(a.result, &r); err != nil {
		return fmt.Errorf("result: %w", err)
	}
	a.addrs = nil
	for _, ip := range r.IPs {
		p, err := netip.ParsePrefix(ip.Address)
		if err != nil {
			return fmt.Errorf("result: %w", err)
		}
		a.addrs = append(a.addrs, p.Addr())
	}
	return nil
}

func prevResult(r json.RawMessage) stage.Conf {
	if r == nil {
		return nil
	}
	return stage.Conf{"prevResult": r}
}

// del runs the list backwards and stops at the first error, as libcni does.
func (w *world) del(a *attachment, q asks) error {
	for _, p := range slices.Backward(q.plugins) {
		if _, err := w.call("DEL", a, q, p, prevResult(q.prev)); err != nil {
			return err
		}
	}
	return nil
}

func (w *world) check(a *attachment) error {
	for _, p := range a.plugins {
		if _, err := w.call("CHECK", a, a.asAdded(), p, prevResult(a.result)); err != nil {
			return err
		}
	}
	return nil
}

// gc tells the network's plugins which attachments there are.
func (w *world) gc(n *network) error {
	valid := []stage.Conf{}
	for _, a := range w.attached {
		if a.net == n && !a.box.lost {
			valid = append(valid, stage.Conf{"containerID": a.box.ID, "ifname": a.ifName})
		}
	}
	for _, p := range n.plugins(w.Data()) {
		config := n.stdin(p, nil, stage.Conf{"cni.dev/valid-attachments": valid})
		if _, err := w.run(stage.Call{Plugin: p.Plugin(), Command: "GC", Config: config}); err != nil {
			return err
		}
	}
	return nil
}

// portKeys are what an attachment's ports occupy, "4 tcp 8001". A port of one address
// has another number than those of all, so they never meet.
func (a *attachment) portKeys() (keys []string) {
	for _, s := range a.net.subnets {
		family := "6"
		if s.Addr().Is4() {
			family = "4"
		}
		for _, p := range a.published() {
			if p["hostIP"] != nil && family == "6" {
				continue // the host's IPv4 address
			}
			keys = append(keys, strings.Join([]string{family, p["protocol"].(string), fmt.Sprint(p["hostPort"])}, " "))
		}
	}
	return keys
}
