package machine

import (
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// locks are two that a verb takes, by what is open when it calls flock.
var locks = map[string]string{"leases": "/machine/lock", "firewall": "net:["}

// waits is how long a verb may take behind a stopped one. The leases' lock is waited for the longest, once.
var waits = stage.Slow() * (30 + 8) * time.Second

// TestStopped stops an ADD in the middle, with a lock, until all others have given up: as SIGSTOP or a
// frozen control group does, but at a chosen call. Each says who has the lock, or works; and when the ADD goes on all is well.
func TestStopped(t *testing.T) {
	t.Parallel()
	for lock := range locks {
		t.Run(lock, func(t *testing.T) {
			t.Parallel()
			r := newRoom(t, networks[2])
			r.stop(lock)
		})
	}
}

func (r *room) stop(lock string) {
	r.Helper()
	going := r.QuietSpace("going")
	r.attach(going, 4, nil)
	var wrong []string
	has, stopped := false, false
	answer, _, err := r.traced(r.call("ADD", 0, r.box, 2, nil), trace.Run{
		// The call after flock is number 2.
		At: 2, Apart: func(e trace.Effect) bool {
			has = has || e.Name == "flock" && strings.Contains(e.Detail, locks[lock])
			return !has
		},
		Pause: func(pid int) { wrong, stopped = r.wait(lock, pid, going), true },
	})
	r.Must(err)
	if !stopped || answer.Exit != 0 {
		r.Fatal("ADD, which was stopped (", stopped, ") and went on: ", string(answer.Stdout), string(answer.Stderr))
	}
	for _, text := range wrong {
		r.t.Errorf("%s: %s", lock, text)
	}
	previous := answer.Stdout
	r.detach(going, 4, nil)
	r.calm(r.call("CHECK", 0, r.box, 2, previous))
	r.calm(r.call("CHECK", 0, r.next, 1, r.nexts))
	r.detach(r.box, 2, previous)
	r.Must(r.differs(r.before))
}

// wait runs all other verbs at once, and returns what is wrong with their answers.
func (r *room) wait(lock string, pid int, going *stage.Space) (wrong []string) {
	third := r.QuietSpace("third")
	calls := []stage.Call{
		r.call("ADD", 0, third, 3, nil), r.call("CHECK", 0, r.next, 1, r.nexts), r.call("DEL", 0, going, 4, nil),
		r.sweeping(0, r.box, third, going), r.call("STATUS", 0, r.next, 1, nil), r.call("VERSION", 0, r.next, 1, nil),
	}
	var all sync.WaitGroup
	var mu sync.Mutex
	for _, c := range calls {
		all.Go(func() {
			begin := time.Now()
			answer, err := r.Host.CNI(r.Bin, c)
			took := time.Since(begin)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err != nil || took > waits:
				wrong = append(wrong, fmt.Sprintf("%s %s took %v: %v", c.Plugin, c.Command, took, err))
			case answer.Exit != 0 && (answer.Err == nil || !strings.Contains(answer.Err.Msg, fmt.Sprintf("process %d (bridge)", pid))):
				wrong = append(wrong, fmt.Sprintf("%s %s does not name process %d: %s", c.Plugin, c.Command, pid, answer.Stdout))
			case answer.Exit != 0 && answer.Err.Code != 11:
				wrong = append(wrong, fmt.Sprintf("%s %s: code %d, want 11: try again later", c.Plugin, c.Command, answer.Err.Code))
			case (c.Command == "STATUS" || c.Command == "VERSION") && (answer.Exit != 0 || took > stage.Slow()*5*time.Second):
				wrong = append(wrong, fmt.Sprintf("%s took %v: %s", c.Command, took, answer.Stdout))
			case c.Command == "ADD" && answer.Exit == 0:
				wrong = append(wrong, "ADD works without the lock")
			}
			if testing.Verbose() {
				r.t.Logf("%s: %s %s, %v: %s", lock, c.Plugin, c.Command, took.Round(time.Millisecond), answer.Stdout)
			}
		})
	}
	all.Wait()
	return wrong
}
