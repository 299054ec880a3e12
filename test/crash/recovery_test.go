package crash

import (
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// recovery is what a runtime may do after a crash. In the end the attachment is gone.
type recovery struct {
	name string
	do   func(r *room, previous json.RawMessage) error
}

var recoveryKinds = []recovery{
	{"DEL", func(r *room, previous json.RawMessage) error { return r.del(r.mine(), previous) }},
	{"DEL without netns", func(r *room, previous json.RawMessage) error {
		a := r.mine()
		a.netns = ""
		return r.del(a, previous)
	}},
	{"netns gone, DEL", func(r *room, previous json.RawMessage) error {
		a := r.mine()
		a.netns = r.leave()
		return r.del(a, previous)
	}},
	{"DEL without result and ports", func(r *room, _ json.RawMessage) error {
		a := r.mine()
		return r.backwards("DEL", a, func(c stage.Conf) stage.Conf { return a.complete(c, nil).With(stage.Conf{"runtimeConfig": nil}) })
	}},
	{"DEL with another configuration", func(r *room, previous json.RawMessage) error {
		a := r.mine()
		return r.backwards("DEL", a, func(c stage.Conf) stage.Conf { return another(a.complete(c, previous)) })
	}},
	{"GC without the attachment", func(r *room, _ json.RawMessage) error { return r.gc() }},
	{"GC with the attachment, DEL", func(r *room, previous json.RawMessage) error {
		if err := r.gc(r.mine()); err != nil {
			return err
		}
		return r.del(r.mine(), previous)
	}},
	{"ADD, DEL", func(r *room, previous json.RawMessage) error {
		// Where much is left ADD is refused; where it is not, it must work.
		if err := r.add(r.mine()); err == nil {
			if err := r.check(r.mine()); err != nil {
				return fmt.Errorf("after ADD: %w", err)
			}
		} else if !strings.Contains(err.Error(), `"code":101`) {
			return err
		}
		return r.del(r.mine(), previous)
	}},
	{"reboot, ADD, DEL", func(r *room, _ json.RawMessage) error { return r.reboot() }},
}

// another is what an administrator may have made of the configuration meanwhile.
func another(c stage.Conf) stage.Conf {
	changes := stage.Conf{"ipMasq": false, "hairpinMode": false, "isDefaultGateway": false, "mtu": 1400, "macspoofchk": false, "runtimeConfig": stage.Conf{
		"portMappings": []stage.Conf{{"hostPort": 9999, "containerPort": 9, "protocol": "tcp"}},
	}}
	if c["backend"] == nil {
		changes["backend"], changes["ipMasqBackend"] = "iptables", "iptables"
	} else {
		changes["backend"], changes["ipMasqBackend"] = nil, nil
	}
	if ipam, ok := c["ipam"].(stage.Conf); ok {
		changes["ipam"] = ipam.With(stage.Conf{"ranges": [][]stage.Conf{{{"subnet": "10.99.0.0/24"}}}})
	}
	return c.With(changes)
}

const bootFile = "/proc/sys/kernel/random/boot_id"

// afterBoot does something in what the plugins that it calls take for another boot of the machine:
// they have mounts of their own. What it mounts is gone with them.
func afterBoot(t *testing.T, dir string, do func() error) error {
	t.Helper()
	err := errors.New("the test has ended in another boot") // by Fatal, which ends do alone
	done := make(chan struct{})
	go func() {
		defer close(done)
		runtime.LockOSThread() // for good: the thread ends with its mounts
		if berr := anotherBoot(dir); berr != nil {
			err = berr
			return
		}
		err = do()
	}()
	<-done
	return err
}

func anotherBoot(dir string) error {
	file := filepath.Join(dir, "boot_id")
	err := os.WriteFile(file, []byte("12345678-0000-0000-0000-000000000000\n"), 0o644)
	if err == nil {
		err = unix.Unshare(unix.CLONE_NEWNS)
	}
	if err == nil {
		err = unix.Mount("", "/", "", unix.MS_REC|unix.MS_PRIVATE, "")
	}
	if err == nil {
		err = unix.Mount(file, bootFile, "", unix.MS_BIND, "")
	}
	if err != nil {
		return fmt.Errorf("boot id: %w", err)
	}
	return nil
}

// reboot leaves nothing but the leases. The container must come back; the neighbour's
// is ended by DEL, as kubelet does.
func (r *room) reboot() error {
	r.t.Helper()
	r.want(r.Host.Close(), "end the host")
	r.want(r.box.Close(), "end the container")
	r.Host, r.box = r.space("host"), r.space("box")
	virgin := r.state().Without(func(key string) bool { return strings.HasPrefix(key, "file ") })
	err := afterBoot(r.t, r.Dir, r.boot)
	if err == nil && r.neighbour != nil {
		r.want(r.neighbour.Close(), "end the neighbour")
		r.neighbour = nil
	}
	if err == nil {
		err = afterBoot(r.t, r.Dir, func() error { return r.gc() })
	}
	if err != nil {
		return fmt.Errorf("after a reboot: %w", err)
	}
	if diff, _ := r.differs(virgin); len(diff) > 0 {
		return fmt.Errorf("after a reboot: %s", shownLeft(diff))
	}
	return nil
}

// boot is what a runtime does in another boot.
func (r *room) boot() error {
	if err := r.add(r.mine()); err != nil {
		return err
	}
	if err := r.check(r.mine()); err != nil {
		return err
	}
	if err := r.del(r.mine(), r.previous); err != nil {
		return err
	}
	if r.neighbour == nil {
		return nil
	}
	if err := r.del(attachment{id: "neighbour", index: 1}, nil); err != nil {
		return fmt.Errorf("neighbour: %w", err)
	}
	return nil
}
