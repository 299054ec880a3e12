package stage

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"time"

	"golang.org/x/sys/unix"
)

// User is a user namespace: its root is the machine's user 100000, and has rights in it alone.
type User struct {
	t    T
	path string // of the namespace
}

// firstUser is whom root of a User is on the machine.
const firstUser = 100000

// NewUser makes a user namespace that ends with the test.
func NewUser(t T) *User {
	t.Helper()
	maps := []syscall.SysProcIDMap{{ContainerID: 0, HostID: firstUser, Size: 65536}}
	pid := hold(t, &syscall.SysProcAttr{Cloneflags: unix.CLONE_NEWUSER, UidMappings: maps, GidMappings: maps}, "sleep", "infinity")
	return &User{t, fmt.Sprintf("/proc/%d/ns/user", pid)}
}

// hold starts a program that keeps a namespace until the test ends.
func hold(t T, attr *syscall.SysProcAttr, program ...string) (pid int) {
	t.Helper()
	cmd := exec.Command(program[0], program[1:]...)
	cmd.SysProcAttr = attr
	must(t, cmd.Start())
	t.Cleanup(func() {
		_ = cmd.Process.Kill()
		_ = cmd.Wait() // killed
	})
	return cmd.Process.Pid
}

// Space makes a network namespace that the user namespace owns.
func (u *User) Space(name string) *Space {
	u.t.Helper()
	pid := hold(u.t, &syscall.SysProcAttr{}, "nsenter", "--user="+u.path, "unshare", "--net", "sleep", "infinity")
	own, err := os.Readlink("/proc/self/ns/net")
	must(u.t, err)
	source := fmt.Sprintf("/proc/%d/ns/net", pid)
	for end := time.Now().Add(Patience); ; time.Sleep(time.Millisecond) {
		if now, err := os.Readlink(source); err == nil && now != own {
			break
		}
		if time.Now().After(end) {
			u.t.Fatal("user namespace: no network namespace in it")
		}
	}
	path := filepath.Join(spaceDir, name)
	must(u.t, os.MkdirAll(spaceDir, 0o755))
	must(u.t, os.WriteFile(path, nil, 0o644))
	must(u.t, unix.Mount(source, path, "", unix.MS_BIND, ""))
	u.t.Cleanup(func() { must(u.t, unix.Unmount(path, unix.MNT_DETACH)); must(u.t, os.Remove(path)) })
	s := Opened(u.t, path)
	must(u.t, s.Do(loopbackUp))
	return s
}

// Programs are copies of the programs in a folder that run as the user namespace's root.
func (u *User) Programs(bin, dir string, names ...string) string {
	u.t.Helper()
	for _, name := range names {
		data, err := os.ReadFile(filepath.Join(bin, name))
		must(u.t, err)
		real := filepath.Join(dir, "real", name)
		must(u.t, os.MkdirAll(filepath.Dir(real), 0o755))
		must(u.t, os.WriteFile(real, data, 0o755))
		must(u.t, os.WriteFile(filepath.Join(dir, name), fmt.Appendf(nil,
			"#!/bin/sh\n[ -n \"$INSIDE\" ] || INSIDE=1 exec nsenter --user=%s %[2]s\nexec %[2]s\n", u.path, real), 0o755))
	}
	return dir
}

// Owns gives files to the user namespace's root.
func (u *User) Owns(path string) {
	u.t.Helper()
	must(u.t, os.Chown(path, firstUser, firstUser))
}
