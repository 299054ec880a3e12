package soak

import (
	"fmt"
	"sync"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// history is who has what. An attachment is live from the answer of its ADD to the call
// of its DEL, which is less than the plugins hold it: so two at once are a violation.
type history struct {
	*world
	mu    sync.Mutex
	held  map[string]claim           // address of a network, or port
	known map[string]map[string]bool // network: containers that a GC must spare
	flush int                        // how often the rules were lost
}

type claim struct {
	owner  string
	flush  int
	leased bool // the leases were not lost while ADD ran
}

// claim takes note of the success of an ADD that began after so many flushes, and losses of leases.
// Ports are forgotten with the rules.
func (h *history) claim(n *network, a attachment, addrs []string, flushes int, losses int64) {
	h.mu.Lock()
	defer h.mu.Unlock()
	leased := losses%2 == 0 && losses == n.lostLeases.Load()
	for _, key := range addrs {
		key = n.name + " " + key
		if other, taken := h.held[key]; taken && other.leased && leased {
			h.violated("%s belongs to %s and %s", key, other.owner, a.id)
		}
		h.held[key] = claim{a.id, flushes, leased}
	}
	key := fmt.Sprint("port ", a.port)
	if other, taken := h.held[key]; taken && unflushed(other.flush, h.flush) {
		h.violated("%s belongs to %s and %s", key, other.owner, a.id)
	}
	h.held[key] = claim{a.id, flushes, leased}
}

// waive is before DEL.
func (h *history) waive(a attachment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for key, c := range h.held {
		if c.owner == a.id {
			delete(h.held, key)
		}
	}
}

// enter is before ADD, leave after DEL: in between GC must know the container.
func (h *history) enter(n *network, a attachment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.known[n.name] == nil {
		h.known[n.name] = make(map[string]bool)
	}
	h.known[n.name][a.id] = true
}

func (h *history) leave(n *network, a attachment) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.known[n.name], a.id)
}

func (h *history) valid(n *network) []stage.Conf {
	h.mu.Lock()
	defer h.mu.Unlock()
	list := []stage.Conf{}
	for id := range h.known[n.name] {
		list = append(list, stage.Conf{"containerID": id, "ifname": "eth0"})
	}
	return list
}

// flushes is how often the rules were lost so far.
func (h *history) flushes() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.flush
}

// unflushed says whether the rules of then are still there now: an odd count is a flush in
// progress.
func unflushed(then, now int) bool { return then%2 == 0 && then == now }

func (h *history) violated(format string, args ...any) {
	h.violations.Add(1)
	h.t.Errorf(format, args...)
}
