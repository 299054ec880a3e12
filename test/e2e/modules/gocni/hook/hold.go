package main

import (
	"errors"
	"fmt"
	"io/fs"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"time"
)

const pids = "/run/tmp/holders"

// hold starts a process that has a socket open for each port: a `sleep`, as nerdctl's.
func (w *wish) hold(id string) error {
	holder := exec.Command("sleep", "infinity")
	holder.SysProcAttr = &syscall.SysProcAttr{Setsid: true}
	for _, p := range w.Ports {
		file, err := listen(p.Protocol, p.HostIP, strconv.Itoa(int(p.HostPort)))
		if err != nil {
			return err
		}
		defer file.Close() // the process has its own
		holder.ExtraFiles = append(holder.ExtraFiles, file)
	}
	if err := errors.Join(os.MkdirAll(pids, 0o755), holder.Start()); err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(pids, id), []byte(strconv.Itoa(holder.Process.Pid)), 0o644)
}

func listen(protocol, host, port string) (*os.File, error) {
	if net.ParseIP(host).To4() != nil {
		protocol += "4" // else a socket for every address is one of both families
	}
	addr := net.JoinHostPort(host, port)
	if strings.HasPrefix(protocol, "udp") {
		conn, err := net.ListenPacket(protocol, addr)
		if err != nil {
			return nil, err
		}
		defer conn.Close()
		return conn.(*net.UDPConn).File()
	}
	listener, err := net.Listen(protocol, addr)
	if err != nil {
		return nil, err
	}
	defer listener.Close()
	return listener.(*net.TCPListener).File()
}

// release ends the process, if there is one, and waits until its sockets are closed.
func release(id string) error {
	file := filepath.Join(pids, id)
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) {
		return nil
	}
	pid, perr := strconv.Atoi(strings.TrimSpace(string(text)))
	if err = errors.Join(err, perr); err != nil {
		return err
	}
	// The process is nobody's child here, so nothing tells of its end.
	for end := time.Now().Add(5 * time.Second); ; time.Sleep(time.Millisecond) {
		err := syscall.Kill(pid, syscall.SIGKILL)
		if errors.Is(err, syscall.ESRCH) {
			return os.Remove(file)
		}
		if err != nil || time.Now().After(end) {
			return fmt.Errorf("process %d does not end: %w", pid, err)
		}
	}
}
