package crash

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// errnos are what each call is made to fail with.
var errnos = []unix.Errno{
	unix.ENOSPC, unix.EIO, unix.EMFILE, unix.ENOMEM, unix.EINTR, unix.EAGAIN, unix.EBUSY,
	unix.EEXIST, unix.ENOENT, unix.EPERM, unix.ENOBUFS, unix.ENODEV, unix.EOPNOTSUPP,
}

// TestErrno lets each call of each verb fail once, with each errno: the verb says what
// failed, and a failed ADD leaves nothing; or it has truly succeeded.
func TestErrno(t *testing.T) {
	t.Parallel()
	eachAct(t, (*room).failAll)
}

// failAll goes through points and errnos; a quick run takes one errno for each point.
func (r *room) failAll(a act) {
	r.t.Helper()
	r.prepare(a)
	is := sound{start: r.state(), ready: r.fingerprint()}
	done := r.perform(a, trace.Run{Apart: byXtables})
	r.want(told(done), a.String())
	is.end = r.state()
	r.reset(a, done.Stdout)
	choose := random()
	step, ready := every, false
	if every > 1 {
		step = 2 * every // each point costs as much as a kill, and there are as many
	}
	for n := first(); n <= len(done.Effects); n += step {
		if !wanted(done.Effects[n-1]) {
			continue
		}
		points.Add(1)
		list := errnos
		if every > 1 {
			list = errnos[choose.IntN(len(errnos)):][:1]
		}
		for _, errno := range list {
			if unreal(a, done.Effects[n-1], errno) {
				continue
			}
			ready = r.failOne(a, n, errno, is, ready)
		}
		if last(n) {
			return
		}
	}
}

// unreal failures can't come from the kernel. "Not there" is said of things that are
// not there, and then it is right to go on: of files DEL and GC want to be gone, and of
// nf_tables objects (in an answer, never by the send). In an answer, too, the kernel says
// that a chain is in use, or that it has no nf_tables for bridges: then the chain stays, or
// no control frames are dropped. nf_tables' library has non-blocking sockets, on which a
// send is never interrupted; and where it would have to wait, as with a pipe to a program,
// the kernel says when to go on, which it can't after a failure that it knows nothing of:
// an IPAM plugin would get its 100 s, and the other tests wait for that.
func unreal(a act, e trace.Effect, errno unix.Errno) bool {
	if errno == unix.EAGAIN && e.ToPipe() {
		return true
	}
	switch errno {
	case unix.ENOENT:
		return e.Name == "sendmsg" || a.verb == "DEL" || a.verb == "GC"
	case unix.EINTR, unix.EAGAIN, unix.EBUSY, unix.EOPNOTSUPP:
		return e.Name == "sendmsg"
	}
	return false
}

// byXtables are calls of the iptables programs (xtables-nft-multi and xtables-legacy-multi). They do not
// report all failures, which then are not ours to see; and how many they make depends on what they find.
func byXtables(e trace.Effect) bool { return strings.HasPrefix(e.Program, "xtables-") }

// sound is what a verb finds, and what it makes of it when nothing fails.
type sound struct {
	start, end snapshot.Snapshot
	ready      fingerprint // of start
}

// failOne returns whether the room is ready for the verb again, as nothing has changed.
func (r *room) failOne(a act, n int, errno unix.Errno, is sound, ready bool) bool {
	r.t.Helper()
	othersBoot()
	if !ready {
		r.prepare(a)
	}
	// What the run before had in this place may come sooner or later in this one.
	out := r.perform(a, trace.Run{At: n, Errno: errno, Apart: byXtables, Spare: func(e trace.Effect) bool { return unreal(a, e, errno) }})
	if !out.Hit {
		r.reset(a, out.Stdout)
		return false
	}
	where := fmt.Sprintf("%s, %s at %d (%s)", a, unix.ErrnoName(errno), n, out.Effects[n-1])
	recoveries.Add(1)
	now, err := r.honest(a, out, out.Effects[n-1], is)
	if err != nil {
		r.complain(where, "%v", err)
		return false
	}
	next := future{now, fmt.Sprint("DEL, exit ", out.Exit)}
	if r.fine[next] && now == is.ready {
		return true
	}
	r.reset(a, out.Stdout)
	if r.net.cold {
		r.want(r.gc(), "GC")
	}
	if r.fine[next] {
		return false
	}
	if diff, _ := r.differs(r.before); len(diff) > 0 {
		r.complain(where, "exit %d (%s), and after DEL: %s", out.Exit, out.Stdout, shown(diff))
		return false
	}
	r.fine[next] = now != fingerprint{}
	return false
}

// honest is nil if the verb has truly succeeded, or says what failed and has changed
// nothing; with the state where it was looked at.
func (r *room) honest(a act, out trace.Outcome, failed trace.Effect, is sound) (fingerprint, error) {
	r.t.Helper()
	if out.Exit == 0 {
		var but []string
		if strings.Contains(failed.String(), "/.lease") && strings.Contains(failed.String(), "unlink") {
			but = []string{"/.lease:"} // the temporary file that could not be removed: the next ADD or DEL does
		}
		diff, now := r.differs(is.end, but...)
		if len(diff) > 0 {
			return now, fmt.Errorf("false success: %s", shown(diff))
		}
		return now, nil
	}
	if err := named(out); err != nil {
		return fingerprint{}, err
	}
	// What is shared stays after a failed ADD; what DEL and GC have done is done.
	if a.verb == "CHECK" || a.verb == "STATUS" || a.verb == "ADD" && !r.net.cold {
		diff, now := r.differs(is.start)
		if len(diff) > 0 {
			return now, fmt.Errorf("failed (%s), but %s", out.Stdout, shown(diff))
		}
		return now, nil
	}
	return fingerprint{}, nil
}

// reset takes back what there is.
func (r *room) reset(a act, result []byte) {
	r.t.Helper()
	previous := r.previous
	if a.verb == "ADD" && json.Valid(result) && !strings.Contains(string(result), `"code"`) {
		previous = result
	}
	r.want(r.del(r.mine(), previous), "DEL after "+a.String())
}

// told is nil for a verb that worked.
func told(out trace.Outcome) error {
	if out.Exit == 0 {
		return nil
	}
	return fmt.Errorf("exit %d: %s%s", out.Exit, out.Stdout, out.Stderr)
}

// named wants an error that a person can use: a code, and which step failed.
func named(out trace.Outcome) error {
	var e types.Error
	last := out.Effects[len(out.Effects)-1]
	if strings.HasPrefix(last.Detail, "/memfd:trace") {
		return nil // nobody was there to be told
	}
	if err := json.Unmarshal(out.Stdout, &e); err != nil {
		return fmt.Errorf("exit %d without an error object: %s%s", out.Exit, out.Stdout, out.Stderr)
	}
	if e.Code == 0 || !strings.Contains(e.Msg, ": ") || strings.Contains(e.Msg, "bug:") {
		return fmt.Errorf("the error does not name the step: %s", out.Stdout)
	}
	return nil
}
