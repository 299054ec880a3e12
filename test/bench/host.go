package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/libcni"
)

// verbTimeout is far more than anything here takes; the slowest is one of 50 concurrent
// ADDs of the reference among 900 attachments, at about a minute.
const verbTimeout = 5 * time.Minute

// host is a namespace that stands for a node with one variant on it, and what belongs
// to it: a lease directory, libcni's cache, containers.
type host struct {
	variant
	rig      *rig
	space    *stage.Space
	dir      string
	bin      string
	path     string // PATH of the plugins
	list     *libcni.NetworkConfigList
	pool     []*stage.Space // containers for attachments that are measured
	existing int            // attachments that stay
	last     *stage.Space   // container of the last of them that was made for real
	bridge   int            // index of the floor's bridge
	template *template      // of the reference's rules, for attachments that are made without it
}

// newHost makes an empty one. label tells hosts of the same variant apart.
func (r *rig) newHost(v variant, label string, dual bool) (*host, error) {
	r.spaces++
	space, err := stage.NewSpace(fmt.Sprintf("h%d", r.spaces))
	if err != nil {
		return nil, err
	}
	h := &host{variant: v, rig: r, space: space, bin: r.bin, dir: filepath.Join(r.dir, label, v.name)}
	if v.reference {
		h.bin = r.reference
	}
	xtables, err := xtablesDir(r.dir, v.xtables)
	if err != nil {
		return nil, err
	}
	h.path = xtables + ":" + os.Getenv("PATH")
	h.list, err = libcni.NetworkConfFromBytes(v.conflist(h.leases(), dual))
	return h, err
}

func (h *host) leases() string { return filepath.Join(h.dir, "networks") }

// container is the i-th of the containers that are used again and again.
func (h *host) container(i int) (*stage.Space, error) {
	for len(h.pool) <= i {
		s, err := h.rig.newContainer()
		if err != nil {
			return nil, err
		}
		h.pool = append(h.pool, s)
	}
	return h.pool[i], nil
}

func (r *rig) newContainer() (*stage.Space, error) {
	r.spaces++
	return stage.NewSpace(fmt.Sprintf("c%d", r.spaces))
}

// attachment is one container on one host. Its number gives it its ID and ports, so
// that two with different numbers never collide.
type attachment struct {
	number int
	netns  string
	ports  int
	udp    bool // the ports' protocol; else TCP
}

// firstPort is the first host port of the attachment with number 0.
const firstPort = 10000

func (a attachment) id() string {
	return fmt.Sprintf("%x", sha256.Sum256(fmt.Appendf(nil, "container %d", a.number)))
}

func (a attachment) hostPort(i int) int { return firstPort + 5*a.number + i }

// address is what host-local gives to the attachment when the ones with lower numbers
// are there: .1 is the gateway.
func (a attachment) address() netip.Addr {
	n := a.number + 1
	return netip.AddrFrom4([4]byte{10, 88, byte(n >> 8), byte(n)})
}

func (a attachment) runtimeConf() *libcni.RuntimeConf {
	mappings := make([]object, 0, a.ports)
	protocol := map[bool]string{true: "udp", false: "tcp"}[a.udp]
	for i := range a.ports {
		mappings = append(mappings, object{"hostPort": a.hostPort(i), "containerPort": 80 + i, "protocol": protocol})
	}
	return &libcni.RuntimeConf{
		ContainerID: a.id(), NetNS: a.netns, IfName: "eth0",
		CapabilityArgs: object{"portMappings": mappings},
	}
}

// verbs in the order of an attachment's life. DEL comes twice, as from containerd; the
// second one finds nothing to do.
var verbs = []string{"ADD", "CHECK", "DEL", "DEL again"}

// call has libcni do one verb, with wrap before each plugin.
func (h *host) call(verb string, a attachment, wrap ...string) (*meter, error) {
	switch h.name {
	case floorName:
		return h.callFloor(verb, a)
	case emptyName:
		return h.callEmpty()
	}
	m := &meter{host: h, wrap: slices.Clone(wrap)}
	cni := libcni.NewCNIConfigWithCacheDir([]string{h.bin}, filepath.Join(h.dir, "cache"), m)
	ctx, cancel := context.WithTimeout(context.Background(), verbTimeout)
	defer cancel()
	rt := a.runtimeConf()
	if h.own {
		rt.CapabilityArgs["egress"] = egress(h.entries, a.number)
	}
	var err error
	switch verb {
	case "ADD":
		_, err = cni.AddNetworkList(ctx, h.list, rt)
	case "CHECK":
		err = cni.CheckNetworkList(ctx, h.list, rt)
	case "DEL", "DEL again":
		err = cni.DelNetworkList(ctx, h.list, rt)
	case "STATUS":
		err = cni.GetStatusNetworkList(ctx, h.list)
	case "VERSION":
		for _, plugin := range h.list.Plugins {
			if _, verr := cni.GetVersionInfo(ctx, plugin.Network.Type); verr != nil {
				err = verr
			}
		}
	default:
		err = fmt.Errorf("no verb %q", verb)
	}
	if err != nil {
		return nil, fmt.Errorf("%s: %s of attachment %d: %w", h.name, verb, a.number, err)
	}
	return m, nil
}
