package swarm

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"golang.org/x/sys/unix"

	"github.com/bridgeport-cni/bridgeport/test/lab"
)

const (
	// lockWait is how long the plugin waits for the lock.
	lockWait = 30 * time.Second
	// codeTryLater is the specification's 11: the runtime may retry.
	codeTryLater = 11
)

// holder is a process that has the lock.
type holder struct {
	cmd *exec.Cmd
	pid string
}

func startHolder(t *testing.T, path string) holder {
	t.Helper()
	cmd := exec.Command("/proc/self/exe")
	cmd.Env = append(os.Environ(), holdVariable+"="+path)
	cmd.SysProcAttr = &unix.SysProcAttr{Pdeathsig: unix.SIGKILL}
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	stdout, err := cmd.StdoutPipe()
	if err == nil {
		err = cmd.Start()
	}
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = stdin.Close() })
	line, err := bufio.NewReader(stdout).ReadString('\n')
	if err != nil && err != io.EOF || line != "held: <nil>\n" {
		t.Fatalf("the holder says %q, %v", line, err)
	}
	return holder{cmd: cmd, pid: fmt.Sprint(cmd.Process.Pid)}
}

// testStoppedHolder: a plugin that was stopped (a frozen cgroup, a debugger) holds the
// lock. The others must not hang with it, and say who it is.
func testStoppedHolder(t *testing.T, ours string) {
	host := space(t, "stopped")
	data := t.TempDir()
	config := encode(object{"cniVersion": "1.0.0", "name": "stuck", "ipam": hostLocal(data, "10.71.0.0/24")})
	call := lab.Call{Plugin: "host-local", Command: "ADD", ContainerID: "first", Netns: "/none", IfName: "eth0", Config: config}
	if answer, err := host.CNI(ours, call); err != nil || answer.Exit != 0 {
		t.Fatalf("ADD: %v %s", err, answer.Stdout)
	}
	h := startHolder(t, filepath.Join(data, "stuck", "lock"))
	if err := h.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	call.ContainerID = "second"
	answer, err := host.CNI(ours, call)
	took := time.Since(begin)
	switch {
	case err != nil:
		t.Fatal(err)
	case answer.Err == nil:
		t.Fatalf("ADD: exit %d, %s", answer.Exit, answer.Stdout)
	case answer.Err.Code != codeTryLater:
		t.Errorf("code %d, want %d", answer.Err.Code, codeTryLater)
	case !strings.Contains(answer.Err.Msg, "process "+h.pid+" "):
		t.Errorf("process %s is not named: %s", h.pid, answer.Err.Msg)
	}
	if took < lockWait || took > lockWait+slow()*10*time.Second {
		t.Errorf("gave up after %v, want about %v", took, lockWait)
	}
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait() // killed
	if answer, err := host.CNI(ours, call); err != nil || answer.Exit != 0 {
		t.Errorf("ADD after the holder's end: %v %s", err, answer.Stdout)
	}
}
