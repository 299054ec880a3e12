package machine

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/crash/trace"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

type raw = json.RawMessage

func address(family, index int) string {
	if family == 4 {
		return fmt.Sprintf("10.67.0.%d", 10+index)
	}
	return fmt.Sprintf("fd67::%d", 10+index)
}

// room is a host with a neighbour, who must not notice anything, and with a container. Leases
// are on a small disk of their own.
type room struct {
	*stage.Stage
	t         *testing.T
	net       network
	box, next *stage.Space
	disk      string // the mount point
	limiter   string // the directory of programs that put limits in force
	nexts     []byte // the neighbour's result
	before    snapshot.Snapshot
}

const diskOptions = "size=256k,nr_inodes=96,mode=755"

func newRoom(t *testing.T, n network) *room {
	t.Helper()
	r := &room{Stage: stage.Bare(t), t: t, net: n}
	r.disk, r.limiter = filepath.Join(r.Dir, "disk"), filepath.Join(r.Dir, "limiter")
	r.Must(errors.Join(os.Mkdir(r.disk, 0o755), os.Mkdir(r.limiter, 0o755), unix.Mount("machine", r.disk, "tmpfs", 0, diskOptions)))
	t.Cleanup(func() { r.Must(unix.Unmount(r.disk, unix.MNT_DETACH)) })
	self, err := os.Executable()
	r.Must(err)
	for _, p := range []string{"bridge", "portmap", "host-local"} {
		r.Must(os.Symlink(self, filepath.Join(r.limiter, p)))
	}
	r.box, r.next = r.QuietSpace("box"), r.QuietSpace("next")
	r.nexts = r.attach(r.next, 1, nil)
	// What is shared has what the container brings about only: a port, its last address.
	r.detach(r.box, 2, r.attach(r.box, 2, nil))
	r.before = r.settled()
	return r
}

func (r *room) data() string { return filepath.Join(r.disk, "leases") }

// state is the host, the container and the leases, less what is kept by design.
func (r *room) state() (snapshot.Snapshot, error) {
	full, err := snapshot.Take(r.Host.NS, r.data())
	if err != nil {
		return nil, err
	}
	inside, err := snapshot.Take(r.box.NS)
	for key, text := range inside {
		if !strings.Contains(key, "fe80::") && !strings.Contains(key, "ff00::/8") && key != "sysctl net/ipv4/conf/all/accept_redirects" {
			full["container "+key] = text
		}
	}
	// Without /proc a verb can't know the boot, and says so in the index.
	for key, text := range full {
		if strings.HasPrefix(key, "file leases/.bridgeport/") {
			full[key] = boot.ReplaceAllString(text, "→ (a boot),")
		}
	}
	return full.WithoutBookkeeping(), err
}

// boot is the boot in an entry of the leases' index.
var boot = regexp.MustCompile(`→ ([0-9a-f]{8}|-),`)

func (r *room) settled() snapshot.Snapshot {
	r.Helper()
	state, err := snapshot.Rest(3*stage.Patience, r.state)
	r.Must(err)
	return state
}

// differs is nil in the wanted state. What the kernel takes away some time later is waited for.
func (r *room) differs(want snapshot.Snapshot) error { return want.Await(stage.Patience, r.state) }

// call is a verb of a plugin for one of the two containers.
func (r *room) call(verb string, plugin int, s *stage.Space, index int, previous []byte) stage.Call {
	c := complete(r.net.plugins[plugin], r.data(), index, previous)
	call := stage.Call{Plugin: c.Plugin(), Command: verb, ContainerID: s.Name, Netns: s.Path, IfName: "eth0"}
	if verb == "GC" || verb == "STATUS" || verb == "VERSION" {
		call.ContainerID, call.Netns, call.IfName = "", "", ""
	}
	if verb == "GC" {
		return r.sweeping(plugin)
	}
	call.Config = c.Stdin()
	return call
}

// sweeping is GC of a plugin, with a list of the neighbour and these.
func (r *room) sweeping(plugin int, others ...*stage.Space) stage.Call {
	var valid []stage.Conf
	for _, s := range append(others, r.next) {
		valid = append(valid, stage.Conf{"containerID": s.Name, "ifname": "eth0"})
	}
	c := complete(r.net.plugins[plugin], r.data(), 1, nil).With(stage.Conf{"runtimeConfig": nil, "cni.dev/valid-attachments": valid})
	return stage.Call{Plugin: c.Plugin(), Command: "GC", Config: c.Stdin()}
}

// calm runs a call that is not under test.
func (r *room) calm(c stage.Call) []byte {
	r.Helper()
	answer := r.Run(c)
	if answer.Exit != 0 {
		r.Fatal(c.Plugin, " ", c.Command, " without a fault: ", string(answer.Stdout), string(answer.Stderr))
	}
	return answer.Stdout
}

// attach runs ADD of each plugin after the given result.
func (r *room) attach(s *stage.Space, index int, previous []byte) []byte {
	r.Helper()
	return r.attachUntil(len(r.net.plugins), s, index, previous)
}

func (r *room) attachUntil(n int, s *stage.Space, index int, previous []byte) []byte {
	r.Helper()
	for i := range n {
		previous = r.calm(r.call("ADD", i, s, index, previous))
	}
	return previous
}

func (r *room) detach(s *stage.Space, index int, previous []byte) {
	r.Helper()
	for i := range slices.Backward(r.net.plugins) {
		r.calm(r.call("DEL", i, s, index, previous))
	}
}

// under runs a call with the limits in force.
func (r *room) under(l limits, c stage.Call) (stage.Answer, time.Duration, error) {
	text, err := json.Marshal(l)
	r.Must(err)
	c.Env = append(c.Env, "CNI_PATH="+r.Bin, binMark+"="+r.Bin, limitsMark+"="+string(text))
	begin := time.Now()
	answer, err := r.Host.CNI(r.limiter, c)
	return answer, time.Since(begin), err
}

// traced runs a call under the tracer.
func (r *room) traced(c stage.Call, run trace.Run) (stage.Answer, time.Duration, error) {
	run.Path, run.Stdin, run.Env = filepath.Join(r.Bin, c.Plugin), c.Config, c.Environ(r.Bin)
	var out trace.Outcome
	begin := time.Now()
	err := r.Host.Do(func() (err error) {
		out, err = run.Do()
		return err
	})
	return stage.AnswerOf(c.Command, out.Exit, out.Stdout, out.Stderr), time.Since(begin), err
}
