package crash

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// TestOrphans ends a plugin alone, as a runtime's deadline does, while a program that it
// has started takes its time. What the program would still do must not come after the DEL.
func TestOrphans(t *testing.T) {
	for _, name := range []string{"chain iptables", "exec ipam"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, n := range networks {
				if n.name == name {
					testOrphan(t, newRoom(t, n))
				}
			}
		})
	}
}

func testOrphan(t *testing.T, r *room) {
	t.Helper()
	slow, begun := t.TempDir(), filepath.Join(t.TempDir(), "begun")
	for name, real := range map[string]string{
		"ip6tables-restore": "/usr/sbin/ip6tables-restore", "another-local": filepath.Join(r.Bin, "host-local"),
	} {
		script := fmt.Sprintf("#!/bin/sh\necho $$ >%s.new && mv %[1]s.new %[1]s\nsleep 0.5\nexec %[2]s \"$@\"\n", begun, real)
		if err := os.WriteFile(filepath.Join(slow, name), []byte(script), 0o755); err != nil {
			t.Fatal(err)
		}
	}
	points.Add(1)
	recoveries.Add(1)
	a, c := r.mine(), r.list()[0]
	add := calling("ADD", a, a.complete(c, nil))
	add.Env = []string{"PATH=" + slow + ":" + os.Getenv("PATH"), "CNI_PATH=" + slow + ":" + r.Bin}
	cmd := exec.Command(filepath.Join(r.Bin, "bridge"))
	cmd.Env, cmd.Stdin = add.Environ(r.Bin), bytes.NewReader(add.Config)
	r.want(r.Host.Do(cmd.Start), "start")
	var text []byte
	until(t, "the slow program was not run", func() bool {
		var err error
		text, err = os.ReadFile(begun)
		return err == nil
	})
	pid := strings.TrimSpace(string(text))
	r.want(cmd.Process.Kill(), "kill")
	_ = cmd.Wait() // killed
	r.want(r.del(a, nil), "DEL")
	until(t, "the slow program does not end", func() bool {
		_, err := os.Readlink("/proc/" + pid + "/exe")
		return err != nil
	})
	if diff, _ := r.differs(r.before); len(diff) > 0 {
		r.complain("the plugin alone killed, then DEL", "%s", shownLeft(diff))
	}
}

// until looks every 10 ms, for 10 s: nothing tells of the end of somebody else's process.
func until(t *testing.T, otherwise string, is func() bool) {
	t.Helper()
	for range 1000 {
		if is() {
			return
		}
		time.Sleep(10 * time.Millisecond)
	}
	t.Fatal(otherwise)
}
