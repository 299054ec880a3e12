package ipam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"os"
	"os/exec"
	"strings"
	"syscall"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/containernetworking/cni/pkg/types"
	"golang.org/x/sys/unix"
)

// The library's pkg/invoke does this, too, but brings net/http into the program,
// whose start every ADD pays for: 0.3 ms and 0.8 MB.

const (
	// busyTries and busyPause: while an installer writes the file, executing it fails
	// with ETXTBSY for a moment.
	busyTries = 20
	busyPause = 100 * time.Millisecond
)

// run executes the plugin for one verb, with our environment, configuration and stderr. It
// returns the plugin's stdout.
func (p *IPAM) run(req *cni.Request, verb string) ([]byte, error) {
	ctx, cancel := context.WithTimeout(context.Background(), timeout)
	defer cancel()
	var out []byte
	var err error
	for range busyTries {
		if out, err = p.once(ctx, req, verb); !errors.Is(err, unix.ETXTBSY) {
			break
		}
		time.Sleep(busyPause)
	}
	if err == nil {
		return out, nil
	}
	var exit *exec.ExitError
	if !errors.As(err, &exit) {
		return nil, cni.Errorf(cni.CodeIPAM, "ipam %s: %s: %w", p.Name, verb, err)
	}
	return nil, p.refused(ctx, verb, out, exit)
}

func (p *IPAM) once(ctx context.Context, req *cni.Request, verb string) ([]byte, error) {
	cmd := exec.CommandContext(ctx, p.path)
	cmd.Env = append(os.Environ(), "CNI_COMMAND="+verb)
	cmd.Stdin, cmd.Stderr = bytes.NewReader(req.Config), os.Stderr
	// If we are killed the plugin must not go on: it would lease after the DEL that follows.
	// The signal comes at the end of the thread that started the plugin.
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	var out []byte
	err := netns.Stay(func() (err error) {
		out, err = cmd.Output()
		return err
	})
	return out, err
}

// refused is the error of the plugin's answer, with its code and text.
func (p *IPAM) refused(ctx context.Context, verb string, out []byte, exit *exec.ExitError) error {
	var wire types.Error
	if json.Unmarshal(out, &wire) == nil && wire.Msg != "" {
		if wire.Code == 0 {
			wire.Code = cni.CodeIPAM
		}
		return cni.Errorf(wire.Code, "ipam %s: %w", p.Name, &wire)
	}
	if ctx.Err() != nil {
		return cni.Errorf(cni.CodeIPAM, "ipam %s: %s: no answer within %s", p.Name, verb, timeout)
	}
	text := strings.TrimSpace(string(out))
	if len(text) > maxSaid {
		text = text[:maxSaid] + "..."
	}
	return cni.Errorf(cni.CodeIPAM, "ipam %s: %s: %w, and it said %q", p.Name, verb, exit, text)
}

// maxSaid is how much of a plugin's nonsense is passed on, in bytes.
const maxSaid = 200
