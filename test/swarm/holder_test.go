package swarm

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
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
	// No Pdeathsig: it fires when the thread ends that started the process. All processes
	// end with the isolated one.
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
	data, dir := t.TempDir(), t.TempDir()
	config := stage.Encode(stage.Conf{"cniVersion": "1.0.0", "name": "stuck", "ipam": stage.HostLocal(data, "10.71.0.0/24")})
	first, second := call{command: "ADD", id: "first", config: config}, call{command: "ADD", id: "second", config: config}
	if stdout, err := first.run(ours, dir); err != nil {
		t.Fatalf("ADD: %v %s", err, stdout)
	}
	h := startHolder(t, filepath.Join(data, "stuck", "lock"))
	if err := h.cmd.Process.Signal(unix.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	begin := time.Now()
	stdout, err := second.run(ours, dir)
	took := time.Since(begin)
	var told types.Error
	if uerr := json.Unmarshal(stdout, &told); err == nil || uerr != nil {
		t.Fatalf("ADD: %v, %s", err, stdout)
	}
	if told.Code != codeTryLater {
		t.Errorf("code %d, want %d", told.Code, codeTryLater)
	}
	if !strings.Contains(told.Msg, "process "+h.pid+" ") {
		t.Errorf("process %s is not named: %s", h.pid, told.Msg)
	}
	if took < lockWait || took > lockWait+stage.Slow()*10*time.Second {
		t.Errorf("gave up after %v, want about %v", took, lockWait)
	}
	if err := h.cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = h.cmd.Wait() // killed
	if stdout, err := second.run(ours, dir); err != nil {
		t.Errorf("ADD after the holder's end: %v %s", err, stdout)
	}
}
