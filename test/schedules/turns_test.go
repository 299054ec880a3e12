package schedules

import (
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
)

// stop is where a schedule takes the turn from the program that has it.
type stop struct {
	at   int  // number of the arrival, from 0
	kill bool // the program ends there; otherwise it goes on when the other one has ended or waits
}

// arrival is a program that has the turn and is about to make an effect.
type arrival struct {
	who    int
	effect trace.Effect
	// other says whether the other program could go on in its place.
	other bool
}

// schedule lets one of two programs run at a time.
type schedule struct {
	first  int
	stops  []stop
	counts func(trace.Effect) bool // the effects at which a program may be stopped

	lock     sync.Mutex
	change   *sync.Cond
	turn     int
	state    [2]int
	still    [2]func() bool // of a waiting program
	arrivals []arrival
	deadlock bool
	missed   bool // a stop was not possible
}

// what a program does
const (
	ready = iota
	waiting
	ended
)

func newSchedule(first int, counts func(trace.Effect) bool, stops ...stop) *schedule {
	s := &schedule{first: first, turn: first, counts: counts, stops: stops}
	s.change = sync.NewCond(&s.lock)
	return s
}

// program is one of the two, for the tracer.
type program struct {
	*schedule
	me int
}

func (p program) Before(e trace.Effect) bool {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.await()
	if !p.counts(e) {
		return false
	}
	p.settle()
	n := len(p.arrivals)
	other := p.state[1-p.me] == ready
	p.arrivals = append(p.arrivals, arrival{p.me, e, other})
	for _, stop := range p.stops {
		switch {
		case stop.at != n:
		case stop.kill:
			return true
		case other:
			p.pass()
			p.await()
		default:
			p.missed = true
		}
	}
	return false
}

// settle waits until it is certain whether the other program has got its lock.
func (p program) settle() {
	for p.state[1-p.me] == waiting && !p.still[1-p.me]() {
		p.lock.Unlock()
		time.Sleep(50 * time.Microsecond)
		p.lock.Lock()
	}
}

func (p program) Waiting(still func() bool) {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.state[p.me], p.still[p.me] = waiting, still
	if p.state[1-p.me] == waiting {
		p.deadlock = p.still[1-p.me]()
	}
	p.pass()
}

func (p program) Awake() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.state[p.me] = ready
	p.change.Broadcast()
	p.await()
}

// end is called when the program has ended.
func (p program) end() {
	p.lock.Lock()
	defer p.lock.Unlock()
	p.state[p.me] = ended
	p.pass()
}

// pass gives the turn to the other program.
func (p program) pass() {
	p.turn = 1 - p.me
	p.change.Broadcast()
}

func (p program) await() {
	for p.turn != p.me && p.state[1-p.me] != ended {
		p.change.Wait()
	}
	p.turn = p.me
}
