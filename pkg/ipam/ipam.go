// Package ipam gets addresses from an IPAM plugin. If the host-local in CNI_PATH is this very
// program, it runs in this process. Any other plugin is executed (specification, section 4,
// "Plugin Delegation").
//
//	pool, err := ipam.New(req, "host-local")
//	res, err := pool.Add(req) // res.IPs has at least one address
//	err = pool.Del(req)
package ipam

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
	"golang.org/x/sys/unix"
)

const (
	// timeout: a DHCP lease may take a minute; runtimes give an ADD two to four.
	timeout = 100 * time.Second
	// busyTries: executing a file that an installer is writing fails with ETXTBSY.
	busyTries = 20
	busyPause = 100 * time.Millisecond
	// maxSaid is how much of a plugin's nonsense is passed on, in bytes.
	maxSaid = 200
)

// IPAM is the IPAM plugin of one network configuration, with the verbs of a plugin: Del gives
// the addresses back, Check asks whether they are still leased, GC passes the list of valid
// attachments on, Status asks whether there are addresses to give.
type IPAM struct {
	cni.Plugin // host-local in this process, or verbs that execute path
	path       string
	local      bool
}

// New finds the plugin called kind; nil for "". Errors carry CodeConfig.
func New(req *cni.Request, kind string) (*IPAM, error) {
	if kind == "" {
		return nil, nil
	}
	if strings.ContainsAny(kind, "/\x00") || kind == "." || kind == ".." {
		return nil, cni.Errorf(cni.CodeConfig, "ipam.type: %q is not the name of a plugin", kind)
	}
	path := find(kind, req.Path)
	if path == "" {
		return nil, cni.Errorf(cni.CodeConfig, "ipam.type: plugin %q is not in CNI_PATH %q: install it there",
			kind, strings.Join(req.Path, string(filepath.ListSeparator)))
	}
	if local := lease.Verbs(); cni.Is(kind, local.Name) && isThisProgram(path) {
		return &IPAM{Plugin: local, path: path, local: true}, nil
	}
	p := &IPAM{path: path}
	p.Plugin = cni.Plugin{
		Name: kind, Add: p.delegateAdd,
		Del: p.delegate("DEL"), Check: p.delegate("CHECK"), GC: p.delegate("GC"), Status: p.delegate("STATUS"),
	}
	return p, nil
}

// InProcess says whether the addresses come from this process.
func (p *IPAM) InProcess() bool { return p.local }

func find(kind string, dirs []string) string {
	for _, dir := range dirs {
		path := filepath.Join(dir, kind)
		if st, err := os.Stat(path); err == nil && st.Mode().IsRegular() {
			return path
		}
	}
	return ""
}

// isThisProgram says whether the file is this program, or a copy with the same build ID.
func isThisProgram(path string) bool {
	const self = "/proc/self/exe"
	a, errA := os.Stat(path)
	b, errB := os.Stat(self)
	if errA != nil || errB != nil {
		return false
	}
	if os.SameFile(a, b) {
		return true
	}
	id := buildID(path)
	return a.Size() == b.Size() && id != nil && bytes.Equal(id, buildID(self))
}

// buildID reads Go's build ID: an ELF note of name "Go" and type 4 in the first
// page of the file (cmd/link, doelf). nil if there is none.
func buildID(path string) []byte {
	f, err := os.Open(path)
	if err != nil {
		return nil
	}
	defer f.Close()
	page := make([]byte, 4096)
	n, err := io.ReadFull(f, page)
	if err != nil && !errors.Is(err, io.ErrUnexpectedEOF) {
		return nil
	}
	page = page[:n]
	head := []byte("\x04\x00\x00\x00Go\x00\x00")
	i := bytes.Index(page, head)
	if i < 4 {
		return nil
	}
	size := int(page[i-4]) | int(page[i-3])<<8
	start := i + len(head)
	if size == 0 || start+size > len(page) {
		return nil
	}
	return page[start : start+size]
}

// Add asks for addresses. After an error of a plugin that is executed Add also executes DEL,
// as the specification recommends, since the plugin may have leased something already.
func (p *IPAM) Add(req *cni.Request) (*current.Result, error) {
	res, err := p.Plugin.Add(req)
	if err == nil {
		err = p.sane(res)
	}
	if err != nil && !p.local {
		err = errors.Join(err, p.Del(req))
	}
	return res, err
}

// sane refuses results without an address, and with holes in their lists.
func (p *IPAM) sane(res *current.Result) error {
	if len(res.IPs) == 0 {
		return cni.Errorf(cni.CodeIPAM, "ipam %s: answered without an address", p.Name)
	}
	if slices.Contains(res.IPs, nil) || slices.Contains(res.Routes, nil) {
		return cni.Errorf(cni.CodeIPAM, "ipam %s: answered with null for an address or route", p.Name)
	}
	for _, ip := range res.IPs {
		if !cni.Prefix(ip.Address).IsValid() {
			return cni.Errorf(cni.CodeIPAM, "ipam %s: answered with %q for an address", p.Name, ip.Address.String())
		}
	}
	for _, r := range res.Routes {
		if !cni.Prefix(r.Dst).IsValid() {
			return cni.Errorf(cni.CodeIPAM, "ipam %s: answered with %q for a route's destination", p.Name, r.Dst.String())
		}
	}
	return nil
}

func (p *IPAM) delegateAdd(req *cni.Request) (*current.Result, error) {
	out, err := p.run(req, "ADD")
	if err != nil {
		return nil, err
	}
	var res *current.Result
	raw, err := create.CreateFromBytes(out)
	if err == nil {
		res, err = current.NewResultFromResult(raw)
	}
	if err != nil {
		return nil, cni.Errorf(cni.CodeIPAM, "ipam %s: result: %w", p.Name, err)
	}
	return res, nil
}

func (p *IPAM) delegate(verb string) func(*cni.Request) error {
	return func(req *cni.Request) error {
		_, err := p.run(req, verb)
		return err
	}
}

// run executes the plugin for one verb, with our environment, configuration and stderr, and returns
// its stdout. The library's pkg/invoke does this, too, but brings net/http into the program, whose
// start every ADD pays for: 0.3 ms and 0.8 MB.
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
