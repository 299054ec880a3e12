package kit

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// nodesDir is below the /var/lib that stage.Isolate made, so it ends with the test.
const nodesDir = "/var/lib/nodes"

// Node is a machine for the programs in it. Its disk outlives PowerOff.
type Node struct {
	*stage.Space
	Name   string
	Dir    string   // the node's disk
	Path   []string // directories before /usr/bin
	lan    *LAN
	addrs  string
	init   *exec.Cmd
	cgroup string
	host   bool
}

// running are the nodes that are on. Main ends those that a suite leaves on.
var running []*Node

// NewNode makes a node and boots it. addrs are those of its eth0 on the LAN, as for
// stage.Wire.
func NewNode(lan *LAN, name, addrs string) (*Node, error) {
	n := &Node{Name: name, Dir: filepath.Join(nodesDir, name), lan: lan, addrs: addrs}
	return n, n.PowerOn()
}

// PowerOn boots the node with the disk that it has.
func (n *Node) PowerOn() error {
	var err error
	if n.Space, err = n.lan.Join(n.Name, n.addrs); err != nil {
		return err
	}
	if err := n.makeCgroup(); err != nil {
		return err
	}
	info, err := json.Marshal(bootInfo{Name: n.Name, Dir: n.Dir, Debian: Cache("debian"), Group: n.cgroup, Host: n.host})
	if err != nil {
		return err
	}
	mark := bootMark
	if n.host {
		mark = apartMark
	}
	n.init = exec.Command("/proc/self/exe", mark, string(info))
	n.init.Stderr = os.Stderr
	n.init.SysProcAttr = &unix.SysProcAttr{Cloneflags: unix.CLONE_NEWNS | unix.CLONE_NEWPID}
	out, err := n.init.StdoutPipe()
	if err != nil {
		return err
	}
	if err := n.Do(n.init.Start); err != nil {
		return fmt.Errorf("node %s: %w", n.Name, err)
	}
	running = append(running, n)
	if line, err := bufio.NewReader(out).ReadString('\n'); line != "ready\n" {
		return fmt.Errorf("node %s: does not boot: %w", n.Name, err)
	}
	return nil
}

// PowerOff ends everything on the node at once, as a loss of power does.
func (n *Node) PowerOff() error {
	running = slices.DeleteFunc(running, func(other *Node) bool { return other == n })
	if err := n.init.Process.Kill(); err != nil {
		return err
	}
	_ = n.init.Wait() // killed: that is the point
	return errors.Join(n.removeCgroup(), n.lan.Leave(n.Name), n.Close())
}

// Root is the path by which the test reaches a file of the running node.
func (n *Node) Root(path string) string {
	return filepath.Join("/proc", strconv.Itoa(n.init.Process.Pid), "root", path)
}

// Write makes a file on the node, by rename.
func (n *Node) Write(path, content string) error {
	at := n.Root(path)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	temporary := filepath.Join(filepath.Dir(at), "."+filepath.Base(at)+".new")
	if err := os.WriteFile(temporary, []byte(content), 0o644); err != nil {
		return err
	}
	return os.Rename(temporary, at)
}

// Command is a program on the node.
func (n *Node) Command(argv ...string) *exec.Cmd {
	enter := []string{"--target", strconv.Itoa(n.init.Process.Pid), "--mount", "--net", "--pid"}
	if n.host {
		enter = append(enter, "--uts", "--ipc", "--cgroup")
	}
	enter = append(enter, "--")
	cmd := exec.Command("nsenter", append(enter, argv...)...)
	path := append(append([]string{}, n.Path...), "/usr/sbin", "/usr/bin")
	cmd.Env = []string{"PATH=" + strings.Join(path, ":"), "HOME=/run/home", "TMPDIR=/run/tmp", LogVariable}
	return cmd
}

// Run runs a program on the node and returns what it prints.
func (n *Node) Run(argv ...string) (string, error) { return output(n.Command(argv...), argv) }

// Feed is Run with something on the program's stdin.
func (n *Node) Feed(in io.Reader, argv ...string) (string, error) {
	cmd := n.Command(argv...)
	cmd.Stdin = in
	return output(cmd, argv)
}

func output(cmd *exec.Cmd, argv []string) (string, error) {
	var out, errs bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &errs
	if err := cmd.Run(); err != nil {
		return out.String(), fmt.Errorf("%s: %w: %s", strings.Join(argv, " "), err, strings.TrimSpace(errs.String()+out.String()))
	}
	return strings.TrimSpace(out.String()), nil
}

// Enter opens a network namespace by its path on the node.
func (n *Node) Enter(path string) (*stage.Space, error) { return Enter(n.Name, path, n.Root) }

// Enter opens a network namespace by its path on a machine, whose files the test reaches by root.
func Enter(machine, path string, root func(path string) string) (*stage.Space, error) {
	// An absolute link on the machine would lead out of it.
	if rest, ok := strings.CutPrefix(path, "/var/run/"); ok {
		path = "/run/" + rest
	}
	at := root(path)
	ns, err := netns.Open(at)
	if err != nil {
		return nil, err
	}
	return &stage.Space{NS: ns, Name: machine + " " + filepath.Base(path), Path: at}, nil
}

// plugins are the names of the one executable.
var plugins = []string{"bridge", "portmap", "host-local", "loopback"}

// Copy puts a program on the node, by rename: it may be running.
func (n *Node) Copy(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	at := n.Root(to)
	if err := os.MkdirAll(filepath.Dir(at), 0o755); err != nil {
		return err
	}
	if err := os.WriteFile(at+".new", data, 0o755); err != nil {
		return err
	}
	return os.Rename(at+".new", at)
}

// InstallPlugins puts the built plugins where container runtimes look.
func (n *Node) InstallPlugins() error {
	for _, name := range plugins {
		if err := n.Copy(Repo("bin/"+name), "/opt/cni/bin/"+name); err != nil {
			return fmt.Errorf("%w: run `make build`", err)
		}
	}
	return nil
}
