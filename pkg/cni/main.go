// Package cni is the edge to the runtime: environment and stdin become a Request,
// a Result or a coded error becomes JSON on stdout. The protocol is CNI 1.1.0
// (https://www.cni.dev/docs/spec/) and all versions before it.
//
//	os.Exit(cni.Main(plugin, os.Args)) // plugin.Add and the others get the Request
package cni

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"reflect"
	"slices"
	"strings"
	"syscall"

	"github.com/bridgeport-cni/bridgeport/pkg/log"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// Plugin is the verbs of one plugin. No verb may be nil. Add returns the result in the newest
// version, which Main converts to the version of the request.
type Plugin struct {
	Name   string
	About  string
	Add    func(*Request) (*current.Result, error)
	Check  func(*Request) error
	Del    func(*Request) error
	GC     func(*Request) error
	Status func(*Request) error
	// Undo takes back an Add whose result could not be written.
	Undo func(*Request) error
}

// Main runs the plugin once and returns the exit status.
func Main(p Plugin, args []string) int {
	if len(args) > 1 {
		return flags(p, args[1:])
	}
	if os.Getenv("CNI_COMMAND") == "" {
		fmt.Fprintf(os.Stderr, "%s\n%s\nCNI protocol versions supported: %v\n", versionLine(p), p.About, version.All.SupportedVersions())
		return 0
	}
	req, err := Read(os.Environ(), os.Stdin)
	if err == nil && req.Command != "VERSION" {
		err = enoughFiles()
	}
	if err == nil {
		err = logged(p, req)
	}
	if err != nil {
		writeError(os.Stdout, req.CNIVersion, err)
		return 1
	}
	return 0
}

// fewestFiles is what a verb may have open at once, rounded up; an ADD has 17.
const fewestFiles = 32

// enoughFiles is an error where a verb, and the way back out of it, could not open what they need.
// Go's runtime ends the process where its poller gets no file.
func enoughFiles() error {
	var files syscall.Rlimit
	if err := syscall.Getrlimit(syscall.RLIMIT_NOFILE, &files); err != nil || files.Cur >= fewestFiles {
		return nil
	}
	return Errorf(CodeNotReady, "RLIMIT_NOFILE: %d open files are allowed, a verb may need %d: raise the limit, as by LimitNOFILE= of the runtime's unit", files.Cur, fewestFiles)
}

// logged is Run with a line in the log, whose wrong settings fail no DEL and no GC: these clean up.
func logged(p Plugin, req *Request) error {
	settings, err := log.Read(req.Config)
	if err != nil && req.Command != "DEL" && req.Command != "GC" && req.Command != "VERSION" {
		return WithCode(CodeConfig, err)
	}
	if req.Command != "VERSION" && settings != (log.Settings{}) {
		version, _ := Build()
		req.Log = log.Begin(settings, log.Entry{
			Plugin: p.Name, Verb: req.Command, Network: req.Network, Container: req.ContainerID, IfName: req.IfName,
			Pod: req.Pod, Version: version, Config: req.Config,
		})
	}
	err = Run(p, req, os.Stdout)
	code := uint(0)
	if err != nil {
		code = Code(err)
	}
	if lerr := req.Log.End(code, err); lerr != nil {
		fmt.Fprintf(os.Stderr, "%s: %v\n", p.Name, lerr)
	}
	return err
}

func flags(p Plugin, args []string) int {
	if slices.Contains([]string{"--version", "-version", "version"}, args[0]) {
		fmt.Println(versionLine(p))
		return 0
	}
	fmt.Fprintf(os.Stderr, "%s: unknown argument %q: a container runtime calls this program with CNI_* variables; people may call it with --version\n", p.Name, args[0])
	return 2
}

func versionLine(p Plugin) string {
	number, commit := Build()
	return fmt.Sprintf("bridgeport %s plugin %s (commit %s)", p.Name, number, commit)
}

// Run runs the verb of req and writes the answer of a successful one to out. A panic becomes
// an error with CodeUnexpected, so that the runtime always gets JSON.
func Run(p Plugin, req *Request, out io.Writer) (err error) {
	defer func() {
		if r := recover(); r != nil {
			err = Errorf(CodeUnexpected, "%s %s: bug: %v", p.Name, req.Command, r)
		}
	}()
	verbs := map[string]func(*Request) error{"CHECK": p.Check, "DEL": p.Del, "GC": p.GC, "STATUS": p.Status}
	if verb, is := verbs[req.Command]; is {
		return verb(req)
	}
	if req.Command == "ADD" {
		return add(p, req, out)
	}
	number, commit := Build()
	return json.NewEncoder(out).Encode(map[string]any{
		"cniVersion":        req.CNIVersion,
		"supportedVersions": version.All.SupportedVersions(),
		"bridgeport":        map[string]string{"version": number, "commit": commit},
	})
}

// add writes the result after it was converted, and takes everything back if that fails.
func add(p Plugin, req *Request, out io.Writer) error {
	res, err := p.Add(req)
	if err != nil {
		return err
	}
	text, err := Encode(res, req.CNIVersion)
	if err == nil {
		_, err = out.Write(text)
	}
	if err != nil {
		if uerr := p.Undo(req); uerr != nil {
			return fmt.Errorf("%w; and undo: %w", err, uerr)
		}
	}
	return err
}

// Encode is the result as JSON in the given version of the specification.
func Encode(res *current.Result, cniVersion string) ([]byte, error) {
	if ok, _ := version.GreaterThanOrEqualTo(cniVersion, "1.1.0"); !ok {
		res = withoutMTU(res)
	}
	var form any
	if newForm(cniVersion) {
		object := plainObject(reflect.ValueOf(res).Elem())
		object["cniVersion"] = cniVersion
		if res.DNS.IsEmpty() {
			delete(object, "dns")
		}
		form = object
	} else {
		var err error
		if form, err = res.GetAsVersion(cniVersion); err != nil {
			return nil, Errorf(CodeVersion, "result: convert to cniVersion %s: %w", cniVersion, err)
		}
	}
	text, err := json.MarshalIndent(form, "", "    ")
	if err != nil {
		return nil, Errorf(CodeUnexpected, "result: encode: %w", err)
	}
	return append(text, '\n'), nil
}

// withoutMTU leaves out the MTU, which came with 1.1.0 and which the library writes always.
func withoutMTU(res *current.Result) *current.Result {
	out := *res
	out.Interfaces = nil
	for _, link := range res.Interfaces {
		l := *link
		l.Mtu = 0
		out.Interfaces = append(out.Interfaces, &l)
	}
	return &out
}

// writeError writes err with the version key, which the library leaves out.
func writeError(out io.Writer, cniVersion string, err error) {
	// Runtimes and logs cut at the first newline, which errors.Join puts between its parts.
	msg := strings.ReplaceAll(err.Error(), "\n", "; ")
	w := struct {
		CNIVersion string `json:"cniVersion"`
		types.Error
	}{cniVersion, types.Error{Code: Code(err), Msg: msg}}
	var delegates *types.Error
	if errors.As(err, &delegates) {
		// The library's text of the error has the details behind the message.
		w.Details, w.Msg = delegates.Details, strings.TrimSuffix(w.Msg, "; "+delegates.Details)
	}
	_ = json.NewEncoder(out).Encode(w) // nobody reads a closed stdout
}
