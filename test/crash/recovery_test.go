package crash

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"

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

// boots keeps others from working while it is another boot.
var boots sync.RWMutex

// othersBoot lets in who waits for another boot. It is called where no verb has begun.
func othersBoot() {
	boots.RUnlock()
	boots.RLock()
}

const bootFile = "/proc/sys/kernel/random/boot_id"

// afterBoot does something in what the plugins take for another boot of the machine.
func afterBoot(dir string, do func() error) (err error) {
	boots.RUnlock()
	boots.Lock()
	defer func() { boots.Unlock(); boots.RLock() }()
	file := filepath.Join(dir, "boot_id")
	if err := os.WriteFile(file, []byte("12345678-0000-0000-0000-000000000000\n"), 0o444); err != nil {
		return err
	}
	if err := unix.Mount(file, bootFile, "", unix.MS_BIND, ""); err != nil {
		return fmt.Errorf("boot id: %w", err)
	}
	defer func() {
		if uerr := unix.Unmount(bootFile, unix.MNT_DETACH); err == nil {
			err = uerr
		}
	}()
	return do()
}

// reboot leaves nothing but the leases. The container must come back; the neighbour's
// is ended by DEL, as kubelet does.
func (r *room) reboot() error {
	return afterBoot(r.Dir, func() error {
		r.want(r.Host.Close(), "end the host")
		r.want(r.box.Close(), "end the container")
		r.Host, r.box = r.space("host"), r.space("box")
		virgin := r.state().Without(func(key string) bool { return strings.HasPrefix(key, "file ") })
		if err := r.add(r.mine()); err != nil {
			return fmt.Errorf("after a reboot: %w", err)
		}
		if err := r.check(r.mine()); err != nil {
			return fmt.Errorf("after a reboot: %w", err)
		}
		if err := r.del(r.mine(), r.previous); err != nil {
			return fmt.Errorf("after a reboot: %w", err)
		}
		if r.neighbour != nil {
			if err := r.del(attachment{id: "neighbour", index: 1}, nil); err != nil {
				return fmt.Errorf("after a reboot: neighbour: %w", err)
			}
			r.want(r.neighbour.Close(), "end the neighbour")
			r.neighbour = nil
		}
		if err := r.gc(); err != nil {
			return fmt.Errorf("after a reboot: %w", err)
		}
		if diff, _ := r.differs(virgin); len(diff) > 0 {
			return fmt.Errorf("after a reboot: %s", shown(diff))
		}
		return nil
	})
}
