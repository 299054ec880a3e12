// Package trace runs a program under ptrace(2), counts the system calls of its whole
// process tree that change something, and at one of them kills the tree or makes the
// call fail. A call that is hit is not executed: the state is exactly that of all calls
// before it. It needs CAP_SYS_PTRACE, and knows the system calls of amd64 only.
package trace

import (
	"errors"
	"fmt"
	"os"
	"runtime"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// Victim is who is killed at the point.
type Victim int

const (
	Nobody Victim = iota
	Tree          // everything, as at the end of a control group
	Leader        // the program alone; its children go on, as at a runtime's deadline
)

func (v Victim) String() string { return [...]string{"nobody", "tree", "leader"}[v] }

// Run is one run of a program.
type Run struct {
	Path  string
	Args  []string // behind the program's name
	Env   []string
	Stdin []byte
	At    int        // which effect is hit, from 1; 0 for none
	Kill  Victim     // what happens there
	Errno unix.Errno // with Kill Nobody: the call fails with it; 0 for no failure
	// Spare says which calls do not fail, whatever their number; nil for none.
	Spare func(Effect) bool
	// Apart says which calls have no number, so that the others keep theirs when a program that is
	// executed makes more or fewer; nil for none.
	Apart func(Effect) bool
	Clock time.Duration // added to what the program takes for the time of day
	// Reads counts files that are opened to be read, too.
	Reads bool
	// Turns is asked before each effect; nil where the program runs alone.
	Turns Turns
	// Broken says which calls are of something that is broken from its call number From on: each of
	// them fails with Errno. It is asked about more calls than effects, those of looks, too.
	Broken func(Effect) bool
	From   int
	// Pause is called when Hit comes about, while the call waits; its process with it.
	Pause func(pid int)
	// Filter stops the program at calls that may be effects only, which costs less. Not for Leader, Clock,
	// Broken, Reads and Turns.
	Filter bool
}

// Outcome is what came of a Run.
type Outcome struct {
	Effects        []Effect // in order; with a kill up to the one that was hit
	Broken         []Effect // calls that Run.Broken has named, in order
	After          []Effect // those after a failure, Run.Apart or not
	Changed        bool     // one that was executed was not Inert
	Hit            bool     // the run had that many effects
	Exit           int      // -1 where a signal ended it
	Stdout, Stderr []byte
}

// deadline is far above each of the plugins' own.
const deadline = 2 * time.Minute

// Do runs the program in the calling thread's namespaces. It returns when the program
// has ended; children that outlive it by Leader are let go.
func (r Run) Do() (Outcome, error) {
	runtime.LockOSThread() // ptrace belongs to a thread
	defer runtime.UnlockOSThread()
	var files [3]*os.File
	for i, content := range [][]byte{r.Stdin, nil, nil} {
		f, err := memory(content)
		if err != nil {
			return Outcome{}, err
		}
		defer f.Close()
		files[i] = f
	}
	pid, err := syscall.ForkExec(r.Path, append([]string{r.Path}, r.Args...), &syscall.ProcAttr{
		Env: r.Env, Files: []uintptr{files[0].Fd(), files[1].Fd(), files[2].Fd()},
		Sys: &syscall.SysProcAttr{Ptrace: true, Pdeathsig: syscall.SIGKILL},
	})
	if err != nil {
		return Outcome{}, fmt.Errorf("trace: start %s: %w", r.Path, err)
	}
	t := &tracer{run: r, leader: pid, tasks: make(map[int]*task)}
	watchdog := time.AfterFunc(deadline, func() { _ = unix.Kill(pid, unix.SIGKILL) })
	err = t.follow()
	if !watchdog.Stop() {
		err = errors.Join(err, fmt.Errorf("trace: %s: no end within %v", r.Path, deadline))
	}
	if err != nil {
		return t.out, err
	}
	if t.out.Stdout, err = content(files[1]); err != nil {
		return t.out, err
	}
	t.out.Stderr, err = content(files[2])
	return t.out, err
}

// memory is a file without a name, so that no goroutine has to serve a pipe.
func memory(content []byte) (*os.File, error) {
	fd, err := unix.MemfdCreate("trace", unix.MFD_CLOEXEC)
	if err != nil {
		return nil, fmt.Errorf("trace: memfd: %w", err)
	}
	f := os.NewFile(uintptr(fd), "memfd")
	if _, err := f.WriteAt(content, 0); err != nil {
		return nil, err
	}
	return f, nil
}

func content(f *os.File) ([]byte, error) {
	st, err := f.Stat()
	if err != nil {
		return nil, err
	}
	text := make([]byte, st.Size())
	_, err = f.ReadAt(text, 0)
	return text, err
}

// tracer follows one tree.
type tracer struct {
	run    Run
	leader int
	tasks  map[int]*task // threads, by their number
	dead   bool          // the leader was killed; everything else is let go
	out    Outcome
}

// task is one thread.
type task struct {
	fail    bool // the call it is in was not executed
	clock   uint64
	last    info // the call before
	locks   bool // the call it is in takes a lock, however long that lasts
	waiting bool // somebody else has the lock
}

const options = unix.PTRACE_O_TRACESYSGOOD | unix.PTRACE_O_TRACEFORK | unix.PTRACE_O_TRACEVFORK |
	unix.PTRACE_O_TRACECLONE | unix.PTRACE_O_TRACEEXEC | unix.PTRACE_O_EXITKILL | unix.PTRACE_O_TRACESECCOMP

func (t *tracer) follow() error {
	var status unix.WaitStatus
	if _, err := unix.Wait4(t.leader, &status, unix.WALL, nil); err != nil {
		return fmt.Errorf("trace: wait for exec: %w", err)
	}
	if !status.Stopped() {
		return fmt.Errorf("trace: %s: ended before exec", t.run.Path)
	}
	if err := unix.PtraceSetOptions(t.leader, options); err != nil {
		return fmt.Errorf("trace: options: %w", err)
	}
	if t.run.Clock != 0 {
		if err := hideVDSO(t.leader); err != nil {
			return err
		}
	}
	if t.run.Filter {
		if err := install(t.leader); err != nil {
			return err
		}
	}
	t.tasks[t.leader] = &task{}
	t.resume(t.leader, 0)
	for len(t.tasks) > 0 {
		pid, err := unix.Wait4(-1, &status, unix.WALL|unix.WNOTHREAD, nil)
		if errors.Is(err, unix.EINTR) {
			continue
		}
		if errors.Is(err, unix.ECHILD) {
			break
		}
		if err != nil {
			return fmt.Errorf("trace: wait: %w", err)
		}
		if err := t.event(pid, status); err != nil {
			t.killAll()
			return err
		}
	}
	return nil
}

// event is a stop or the end of a thread.
func (t *tracer) event(pid int, status unix.WaitStatus) error {
	if status.Stopped() {
		return t.stopped(pid, status)
	}
	delete(t.tasks, pid)
	if pid == t.leader {
		t.out.Exit = status.ExitStatus() // -1 for a signal
	}
	return nil
}

// resume lets a thread go on to its next call. One that is gone meanwhile is seen by
// wait.
func (t *tracer) resume(pid int, signal syscall.Signal) {
	if t.run.Filter {
		_ = unix.PtraceCont(pid, int(signal))
		return
	}
	_ = unix.PtraceSyscall(pid, int(signal))
}

func (t *tracer) stopped(pid int, status unix.WaitStatus) error {
	signal := status.StopSignal()
	switch {
	case t.tasks[pid] == nil && signal == unix.SIGSTOP: // a new thread or process
		t.tasks[pid] = &task{}
		signal = 0
	case signal == unix.SIGTRAP|0x80 || status.TrapCause() == unix.PTRACE_EVENT_SECCOMP:
		if err := t.call(pid); err != nil {
			return err
		}
		signal = 0
	case signal == unix.SIGTRAP: // the event of a clone or an exec
		signal = 0
	}
	if t.dead && pid != t.leader {
		_ = syscall.PtraceDetach(pid)
		delete(t.tasks, pid)
		return nil
	}
	t.resume(pid, signal)
	if own := t.tasks[pid]; own != nil && own.locks && !own.waiting {
		return t.atLock(pid, own)
	}
	return nil
}

// call is a stop at the beginning or the end of a system call.
func (t *tracer) call(pid int) error {
	info, err := syscallInfo(pid)
	if errors.Is(err, unix.ESRCH) { // killed meanwhile
		return nil
	}
	if err != nil {
		return fmt.Errorf("trace: system call: %w", err)
	}
	own := t.tasks[pid]
	if own == nil {
		own = &task{}
		t.tasks[pid] = own
	}
	if info.op == opExit {
		if own.waiting {
			t.run.Turns.Awake()
		}
		own.locks, own.waiting = false, false
		return t.after(pid, own)
	}
	if info.op != opEntry && info.op != opFilter || t.dead || t.tasks[t.leader] == nil {
		return nil
	}
	own.clock = 0
	if t.run.Clock != 0 && info.nr == unix.SYS_CLOCK_GETTIME && info.args[0] == unix.CLOCK_REALTIME {
		own.clock = info.args[1]
	}
	return t.entry(pid, own, info)
}

// entry is the beginning of a call.
func (t *tracer) entry(pid int, own *task, info info) error {
	if t.run.Broken != nil {
		if look, known := lookOf(pid, info); known && t.run.Broken(look) {
			t.out.Broken = append(t.out.Broken, look)
			if own.fail = len(t.out.Broken) >= t.run.From; own.fail {
				return skip(pid)
			}
		}
	}
	effect, counts := effectOf(pid, info)
	again := info.nr == own.last.nr && info.args == own.last.args
	own.last = info
	if again && strings.Contains(effect.Detail, "/sys/net/") {
		return nil // the kernel itself makes the call once more, as long as another process holds RTNL
	}
	counts = counts || t.run.Reads && effect.Name == "openat" && effect.Detail != ""
	if !counts {
		return nil
	}
	apart := t.run.Apart != nil && t.run.Apart(effect)
	if !apart && !t.out.Hit {
		t.out.Effects = append(t.out.Effects, effect)
	}
	if t.run.Turns != nil {
		own.locks = info.nr == unix.SYS_FLOCK && info.args[1]&(unix.LOCK_NB|unix.LOCK_UN) == 0
		if !apart && t.run.Turns.Before(effect) {
			t.out.Hit = true
			t.killAll()
		}
		return nil
	}
	if t.out.Hit || apart || len(t.out.Effects) != t.run.At {
		t.out.Changed = t.out.Changed || !effect.Inert()
		if t.out.Hit {
			t.out.After = append(t.out.After, effect)
		}
		return nil
	}
	return t.hit(pid, own, effect)
}

// hit is the call at which the run is disturbed.
func (t *tracer) hit(pid int, own *task, effect Effect) error {
	if t.run.Errno != 0 && t.run.Spare != nil && t.run.Spare(effect) {
		return nil
	}
	t.out.Hit = true
	switch {
	case t.run.Pause != nil:
		t.run.Pause(t.leader)
	case t.run.Kill == Tree:
		t.killAll()
	case t.run.Kill == Leader:
		t.dead = true
		return unix.Kill(t.leader, unix.SIGKILL)
	case t.run.Errno != 0 && effect.Name != "exit_group" && t.run.Filter: // there is no stop at its end
		return errors.Join(skip(pid), setResult(pid, -int64(t.run.Errno)))
	case t.run.Errno != 0 && effect.Name != "exit_group":
		own.fail = true
		return skip(pid)
	}
	return nil
}

func (t *tracer) after(pid int, own *task) error {
	if own.fail {
		own.fail = false
		return setResult(pid, -int64(t.run.Errno))
	}
	if own.clock != 0 {
		return shift(pid, uintptr(own.clock), t.run.Clock)
	}
	return nil
}

func (t *tracer) killAll() {
	for pid := range t.tasks {
		_ = unix.Kill(pid, unix.SIGKILL) // or it is gone already
	}
}
