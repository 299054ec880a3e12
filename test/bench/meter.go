package main

import (
	"bytes"
	"context"
	"fmt"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/version"
)

// spent is what one or more processes cost. Wall is from just before the fork to the
// end of the wait, which is the time that a runtime waits; CPU is that of the process and
// of all its children. Work that the kernel does later (RCU callbacks) is in neither.
type spent struct {
	Wall time.Duration `json:"wall"`
	CPU  time.Duration `json:"cpu"`
}

func (s *spent) add(more spent) {
	s.Wall += more.Wall
	s.CPU += more.CPU
}

// meter runs plugins for libcni as its own RawExec does, inside the host's namespace,
// and adds up what they cost.
type meter struct {
	invoke.RawExec
	version.PluginDecoder
	host  *host
	wrap  []string // a program and its arguments to run the plugin under
	spent spent
	each  map[string]spent // by plugin
}

// ExecPlugin implements invoke.Exec.
func (m *meter) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) ([]byte, error) {
	argv := append(slices.Clone(m.wrap), path)
	cmd := exec.CommandContext(ctx, argv[0], argv[1:]...)
	cmd.Env = append(slices.DeleteFunc(environ, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") }), "PATH="+m.host.path)
	var stdout, stderr bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(stdin), &stdout, &stderr
	var cost spent
	err := m.host.space.Do(func() (err error) {
		cost, err = measure(cmd)
		return err
	})
	name := filepath.Base(path)
	if m.each == nil {
		m.each = make(map[string]spent)
	}
	m.spent.add(cost)
	m.each[name] = cost
	if err != nil {
		return nil, fmt.Errorf("%s: %w: %s%s", name, err, stdout.Bytes(), stderr.Bytes())
	}
	return stdout.Bytes(), nil
}

// measure runs the command in the calling thread's network namespace.
func measure(cmd *exec.Cmd) (spent, error) {
	begin := time.Now()
	err := cmd.Run()
	s := spent{Wall: time.Since(begin)}
	if cmd.ProcessState != nil {
		usage := cmd.ProcessState.SysUsage().(*syscall.Rusage)
		s.CPU = time.Duration(usage.Utime.Nano() + usage.Stime.Nano())
	}
	return s, err
}
