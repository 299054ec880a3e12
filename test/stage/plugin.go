package stage

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
	"golang.org/x/sys/unix"
)

// callTimeout is for calls that set none: above every deadline of the plugins.
var callTimeout = min(Slow(), 10) * time.Minute

// Call is one run of one plugin, as a runtime does it.
type Call struct {
	Plugin      string // the file's name
	Command     string
	ContainerID string
	Netns       string
	IfName      string
	Args        string
	Config      []byte
	Env         []string // last, so that it wins
	Timeout     time.Duration
}

// Answer is what came of a Call.
type Answer struct {
	Stdout, Stderr []byte
	Exit           int              // -1 where a signal ended it
	Err            *types.Error     // of a failed run; nil if it printed no error JSON
	Result         *types100.Result // of a successful ADD; nil if it printed no result

	t T // of the space
}

// CNI runs one plugin from the directory bin inside the space. An error means
// that it could not be run, or had to be killed at the timeout.
func (s *Space) CNI(bin string, c Call) (Answer, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return Answer{}, err
	}
	timeout := c.Timeout
	if timeout == 0 {
		timeout = callTimeout
	}
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, filepath.Join(bin, c.Plugin))
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Config), &stdout, &stderr
	cmd.Env = c.Environ(bin)
	cmd.WaitDelay = 10 * time.Second // a delegate may hold stdout open
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	err = s.Do(cmd.Run)
	answer := Answer{Stdout: stdout.Bytes(), Stderr: stderr.Bytes(), t: s.t}
	if ctx.Err() != nil {
		answer.Exit = -1
		return answer, s.errorf(fmt.Errorf("killed after %v", timeout), "%s %s", c.Plugin, c.Command)
	}
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		return answer, s.errorf(err, "%s %s", c.Plugin, c.Command)
	}
	answer.Exit = cmd.ProcessState.ExitCode()
	answer.decode(c.Command)
	return answer, nil
}

// AnswerOf is the answer of a plugin that was run in another way.
func AnswerOf(command string, exit int, stdout, stderr []byte) Answer {
	a := Answer{Stdout: stdout, Stderr: stderr, Exit: exit}
	a.decode(command)
	return a
}

// Environ is ours without any CNI_* (the tests may run under a runtime), plus what the
// specification asks a runtime to set.
func (c Call) Environ(bin string) []string {
	env := slices.DeleteFunc(os.Environ(), func(kv string) bool { return strings.HasPrefix(kv, "CNI_") })
	env = append(env, "CNI_COMMAND="+c.Command, "CNI_PATH="+bin)
	for name, value := range map[string]string{
		"CNI_CONTAINERID": c.ContainerID, "CNI_NETNS": c.Netns, "CNI_IFNAME": c.IfName, "CNI_ARGS": c.Args,
	} {
		if value != "" {
			env = append(env, name+"="+value)
		}
	}
	return append(env, c.Env...)
}

func (a *Answer) decode(command string) {
	if a.Exit != 0 {
		wire := &types.Error{}
		if json.Unmarshal(a.Stdout, wire) == nil {
			a.Err = wire
		}
		return
	}
	if command != "ADD" {
		return
	}
	if result, err := create.CreateFromBytes(a.Stdout); err == nil {
		a.Result, _ = types100.NewResultFromResult(result) // nil tells the caller enough
	}
}
