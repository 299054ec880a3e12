package kit

import (
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"time"
)

// Daemon is a program that stays, on a node.
type Daemon struct {
	node *Node
	name string
	cmd  *exec.Cmd // nsenter, which ends when the program does
	pid  string    // in the node's own numbers
	done chan struct{}
}

// Start starts a program on the node; its output goes to a log file.
func (n *Node) Start(name string, argv ...string) (*Daemon, error) {
	path := filepath.Join(logDir(), n.Name+"-"+name+".log")
	if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
		return nil, err
	}
	log, err := os.OpenFile(path, os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return nil, err
	}
	defer log.Close() // the program has its own
	file := "/run/tmp/" + name + ".pid"
	if err := os.RemoveAll(n.Root(file)); err != nil {
		return nil, err
	}
	if n.host {
		exe, err := os.Executable()
		if err != nil {
			return nil, err
		}
		argv = append([]string{exe, joinMark}, argv...)
	}
	cmd := n.Command(append([]string{"sh", "-c", `echo $$ >"$0"; exec "$@"`, file}, argv...)...)
	cmd.Stdout, cmd.Stderr = log, log
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("node %s: %s: %w", n.Name, name, err)
	}
	d := &Daemon{node: n, name: name, cmd: cmd, done: make(chan struct{})}
	go func() {
		_ = cmd.Wait() // how it ended is in the log
		close(d.done)
	}()
	return d, Wait(10*time.Second, func() error {
		text, err := os.ReadFile(n.Root(file))
		d.pid = strings.TrimSpace(string(text))
		if err == nil && d.pid == "" {
			err = errors.New(name + ": no pid yet")
		}
		return err
	})
}

// Alive is nil as long as the program runs.
func (d *Daemon) Alive() error {
	select {
	case <-d.done:
		return fmt.Errorf("node %s: %s has ended, see its log", d.node.Name, d.name)
	default:
		return nil
	}
}

// Kill ends the program as SIGKILL does, and waits.
func (d *Daemon) Kill() error { return d.end("KILL") }

// Stop asks the program to end, and kills it if it won't.
func (d *Daemon) Stop() error { return d.end("TERM") }

func (d *Daemon) end(signal string) error {
	if d.Alive() != nil {
		return nil
	}
	if _, err := strconv.Atoi(d.pid); err != nil {
		return fmt.Errorf("%s: pid: %w", d.name, err)
	}
	if _, err := d.node.Run("kill", "-"+signal, d.pid); err != nil {
		return err
	}
	select {
	case <-d.done:
		return nil
	case <-time.After(20 * time.Second):
		if signal == "KILL" {
			return fmt.Errorf("node %s: %s does not end", d.node.Name, d.name)
		}
		return d.Kill()
	}
}
