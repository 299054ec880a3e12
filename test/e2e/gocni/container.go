package main

import (
	"crypto/sha256"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	hook   = "/usr/bin/hook"
	rootfs = "/var/lib/rootfs" // of all containers
)

type object = map[string]any

// wish is the hook's; see there. Without a file it is about the sample's network.
type wish struct {
	Files        []string
	Ports        []port
	IP, IP6, MAC string
	Hold         bool
}

type container struct {
	t        *test
	id, name string
	notes    map[string]string // the annotations, which the hook reads
}

func (t *test) ctr(args ...string) (string, error) {
	return t.node.Run(append([]string{"ctr", "-a", kit.Socket}, args...)...)
}

// newContainer writes the container's specification. Its ID is as long as nerdctl's.
func (t *test) newContainer(name string, w wish) (*container, error) {
	if len(w.Files) == 0 {
		w.Files = []string{sampleFile}
	}
	note, err := json.Marshal(w)
	if err != nil {
		return nil, err
	}
	c := &container{t, fmt.Sprintf("%x", sha256.Sum256([]byte(name))), name, map[string]string{"bridgeport/wish": string(note)}}
	call := func(verb string) []object {
		return []object{{"path": hook, "args": []string{"hook", verb}, "env": []string{"PATH=/usr/sbin:/usr/bin", kit.LogVariable}}}
	}
	var namespaces []object
	for _, kind := range []string{"pid", "ipc", "uts", "mount", "network"} {
		namespaces = append(namespaces, object{"type": kind})
	}
	capabilities := []string{"CAP_NET_BIND_SERVICE"}
	text, err := json.Marshal(object{
		"ociVersion": "1.0.2", "hostname": name, "annotations": c.notes,
		"process": object{
			"args": []string{"/pod", "serve"}, "cwd": "/", "user": object{"uid": 0, "gid": 0},
			"capabilities": object{"bounding": capabilities, "permitted": capabilities, "effective": capabilities},
		},
		"root": object{"path": rootfs, "readonly": true},
		"mounts": []object{
			{"destination": "/proc", "type": "proc", "source": "proc"},
			{"destination": "/dev", "type": "tmpfs", "source": "tmpfs", "options": []string{"nosuid", "mode=755"}},
		},
		"hooks": object{"createRuntime": call("create"), "poststop": call("remove")},
		"linux": object{"namespaces": namespaces, "cgroupsPath": filepath.Join(t.node.Cgroup(), name)},
	})
	return c, errors.Join(err, t.node.Write(c.spec(), string(text)))
}

func (c *container) spec() string { return "/var/lib/specs/" + c.name + ".json" }

// run is `nerdctl run -d`; it waits until the container serves.
func (t *test) run(name string, w wish) (*container, error) {
	c, err := t.newContainer(name, w)
	if err == nil {
		_, err = t.ctr("run", "-d", "--null-io", "--config", c.spec(), c.id)
	}
	if err != nil {
		return c, err
	}
	return c, c.serves()
}

// fails is run where an error is due that says all the texts. Then the container is removed.
func (t *test) fails(name string, w wish, texts ...string) error {
	c, err := t.run(name, w)
	if err == nil {
		return errors.Join(errors.New("it started"), c.remove())
	}
	var missing error
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			missing = fmt.Errorf("the error does not say %q: %w", text, err)
		}
	}
	return errors.Join(missing, c.remove())
}

// task is the container's process and its state, "" where there is none.
func (c *container) task() (pid, state string, err error) {
	text, err := c.t.ctr("task", "ls")
	for line := range strings.Lines(text) {
		if fields := strings.Fields(line); len(fields) == 3 && fields[0] == c.id {
			return fields[1], fields[2], nil
		}
	}
	return "", "", err
}

// enter opens the container's network namespace.
func (c *container) enter() (*stage.Space, error) {
	pid, state, err := c.task()
	if err == nil && state != "RUNNING" {
		err = fmt.Errorf("%s: its task is %q", c.name, state)
	}
	if err != nil {
		return nil, err
	}
	return c.t.node.Enter("/proc/" + pid + "/ns/net")
}

// in does something in the container's network namespace.
func (c *container) in(fn func(*stage.Space) error) error {
	space, err := c.enter()
	if err != nil {
		return err
	}
	return errors.Join(fn(space), space.NS.Close())
}

func (c *container) serves() error {
	return c.in(func(space *stage.Space) error {
		return kit.Wait(10*time.Second, func() error {
			return errors.Join(space.Seen("tcp", "127.0.0.1", "80"), space.Seen("udp", "127.0.0.1", "80"))
		})
	})
}

// signal ends the container's process, and waits for that.
func (c *container) signal(name string) error {
	if _, err := c.t.ctr("task", "kill", "-s", name, c.id); err != nil {
		return err
	}
	return c.stopped()
}

func (c *container) stopped() error {
	return kit.Wait(10*time.Second, func() error {
		_, state, err := c.task()
		if err == nil && state != "STOPPED" {
			err = fmt.Errorf("%s: its task is %q", c.name, state)
		}
		return err
	})
}

// detach is what nerdctl does beside the hook, when it stops or removes a container.
func (c *container) detach() error {
	state, err := json.Marshal(object{"ociVersion": "1.0.2", "id": c.id, "status": "stopped", "bundle": "/", "annotations": c.notes})
	if err == nil {
		_, err = c.t.node.Feed(strings.NewReader(string(state)), "hook", "remove")
	}
	return err
}

// stop is `nerdctl stop`: the network goes with the process, the task stays.
func (c *container) stop() error { return errors.Join(c.signal("SIGTERM"), c.detach()) }

// start is `nerdctl start`: the old task goes, by which the hook detaches once more.
func (c *container) start() error {
	_, state, err := c.task()
	if err == nil && state != "" {
		_, err = c.t.ctr("task", "rm", c.id)
	}
	if err == nil {
		_, err = c.t.ctr("task", "start", "-d", "--null-io", c.id)
	}
	if err != nil {
		return err
	}
	return c.serves()
}

// remove is `nerdctl rm -f`.
func (c *container) remove() error {
	_, state, err := c.task()
	if err == nil && state != "" {
		_, err = c.t.ctr("task", "rm", "-f", c.id)
	}
	_, rerr := c.t.ctr("container", "rm", c.id)
	return errors.Join(err, c.detach(), rerr, os.Remove(c.t.node.Root(c.spec())))
}

func remove(list ...*container) (err error) {
	for _, c := range list {
		if c != nil {
			err = errors.Join(err, c.remove())
		}
	}
	return err
}
