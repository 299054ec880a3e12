package cni

import (
	"cmp"
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/log"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// MaxStdin is the longest configuration, in bytes: 20,000 port mappings, as many as one attachment may have,
// take up to 1.5 million, since a runtime writes each as an object.
const MaxStdin = 2 << 20

// maxDepth bounds the nesting, for a parser's memory and time. The specification needs six.
const maxDepth = 64

// maxIfName is IFNAMSIZ less the terminating zero (linux/if.h).
const maxIfName = 15

// Request is the CNI_* environment and the network configuration from stdin.
type Request struct {
	Command     string
	ContainerID string
	Netns       string // path; may be empty for DEL
	IfName      string
	Args        Args     // CNI_ARGS
	RawArgs     string   // CNI_ARGS as it came, for delegates
	Path        []string // CNI_PATH, the directories with plugins
	Config      []byte   // stdin, a JSON object
	CNIVersion  string   // of Config; "0.1.0" where it says nothing
	Network     string   // "name" of Config
	Pod         string   // "namespace/name" of CNI_ARGS; "" where the runtime names none
	Override    bool     // CNI_NETNS_OVERRIDE: Netns may be the host's own
	Log         *log.Line

	// Parts of Config, kept from the first reading. Config must not change afterwards.
	members  []member
	prev     *current.Result
	tolerant *Tolerant
}

// needs are the variables that each command requires (specification, section 2), save CNI_PATH.
var needs = map[string][]string{
	"ADD":     {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
	"CHECK":   {"CNI_CONTAINERID", "CNI_NETNS", "CNI_IFNAME"},
	"DEL":     {"CNI_CONTAINERID", "CNI_IFNAME"},
	"GC":      nil,
	"STATUS":  nil,
	"VERSION": nil,
}

// Read reads a Request from environment and stdin. Errors carry CodeEnv, CodeIO, CodeDecode,
// CodeVersion or CodeConfig, and come with what could be read, for the version of the answer.
func Read(environ []string, stdin io.Reader) (*Request, error) {
	req := &Request{CNIVersion: version.Current()}
	env := make(map[string]string)
	for _, kv := range environ {
		if k, v, ok := strings.Cut(kv, "="); ok && strings.HasPrefix(k, "CNI_") {
			env[k] = v
		}
	}
	req.Command = env["CNI_COMMAND"]
	required, known := needs[req.Command]
	if !known {
		return req, Errorf(CodeEnv, "CNI_COMMAND: %q is none of ADD, DEL, CHECK, GC, STATUS, VERSION", req.Command)
	}
	req.ContainerID, req.Netns, req.IfName = env["CNI_CONTAINERID"], env["CNI_NETNS"], env["CNI_IFNAME"]
	req.Path = filepath.SplitList(env["CNI_PATH"])
	req.RawArgs = env["CNI_ARGS"]
	req.Override = truth(env["CNI_NETNS_OVERRIDE"])
	if err := req.readConfig(stdin); err != nil {
		return req, err
	}
	if req.Command == "VERSION" {
		return req, nil
	}
	for _, name := range required {
		if env[name] == "" {
			return req, Errorf(CodeEnv, "%s: required for %s, but not set", name, req.Command)
		}
	}
	return req, req.validate()
}

func truth(s string) bool { return s == "1" || strings.EqualFold(s, "true") }

func (req *Request) readConfig(stdin io.Reader) error {
	data, err := readAll(io.LimitReader(stdin, MaxStdin+1))
	if err != nil {
		return Errorf(CodeIO, "stdin: read network configuration: %w", err)
	}
	if len(data) > MaxStdin {
		return Errorf(CodeDecode, "stdin: network configuration is longer than %d bytes", MaxStdin)
	}
	if tooDeep(data) {
		return Errorf(CodeDecode, "stdin: network configuration is nested more than %d levels deep", maxDepth)
	}
	req.Config = data
	var h struct {
		CNIVersion string `json:"cniVersion"`
		Name       string `json:"name"`
	}
	err = req.Decode(&h)
	if req.Command == "VERSION" {
		// Old runtimes send nothing, and the answer depends on nothing else.
		if err == nil && h.CNIVersion != "" {
			req.CNIVersion = h.CNIVersion
		}
		return nil
	}
	if err != nil {
		return err
	}
	req.Network = h.Name
	req.CNIVersion = cmp.Or(h.CNIVersion, "0.1.0") // the version before the key existed
	return nil
}

// readAll is io.ReadAll for texts of some kB: most fit into the first piece, and all but the longest into
// the second, so that little memory is touched twice.
func readAll(from io.Reader) ([]byte, error) {
	data := make([]byte, 0, 2048)
	for {
		n, err := from.Read(data[len(data):cap(data)])
		data = data[:len(data)+n]
		switch {
		case errors.Is(err, io.EOF):
			return data, nil
		case err != nil:
			return data, err
		case len(data) == cap(data):
			data = append(make([]byte, 0, 16*cap(data)), data...)
		}
	}
}

// tooDeep counts brackets outside of strings, without parsing anything.
func tooDeep(data []byte) bool {
	depth, inString := 0, false
	for i := 0; i < len(data); i++ {
		switch c := data[i]; {
		case inString && c == '\\':
			i++
		case c == '"':
			inString = !inString
		case inString:
		case c == '{' || c == '[':
			if depth++; depth > maxDepth {
				return true
			}
		case c == '}' || c == ']':
			depth--
		}
	}
	return false
}

func (req *Request) validate() error {
	if all := version.All.SupportedVersions(); !slices.Contains(all, req.CNIVersion) {
		err := Errorf(CodeVersion, "cniVersion: %q is not supported, use one of %s", req.CNIVersion, strings.Join(all, ", "))
		req.CNIVersion = version.Current()
		return err
	}
	if min := map[string]string{"CHECK": "0.4.0", "GC": "1.1.0", "STATUS": "1.1.0"}[req.Command]; min != "" {
		if ok, err := version.GreaterThanOrEqualTo(req.CNIVersion, min); err != nil || !ok {
			return Errorf(CodeVersion, "cniVersion: %s does not allow %s, it needs at least %s", req.CNIVersion, req.Command, min)
		}
	}
	if req.Network == "" {
		return Errorf(CodeConfig, "name: missing, every network needs one")
	}
	if !ValidName(req.Network) {
		return Errorf(CodeConfig, "name: %q must begin with a letter or digit and hold only letters, digits, '_', '.', '-'", req.Network)
	}
	if req.ContainerID != "" && !ValidName(req.ContainerID) {
		return Errorf(CodeEnv, "CNI_CONTAINERID: %q must begin with a letter or digit and hold only letters, digits, '_', '.', '-'", req.ContainerID)
	}
	if req.IfName != "" {
		if err := CheckLinkName(req.IfName); err != nil {
			return Errorf(CodeEnv, "CNI_IFNAME: %w", err)
		}
	}
	args, err := parseArgs(req.RawArgs)
	if err != nil && req.Command != "DEL" { // DEL removes what it can, and needs no arguments
		return Errorf(CodeEnv, "CNI_ARGS: %w", err)
	}
	req.Args, req.Pod = args, args.Pod()
	return nil
}

// ValidName says whether s may name a network or a container (specification, sections 1 and 2).
func ValidName(s string) bool {
	for i, c := range []byte(s) {
		alnum := c >= '0' && c <= '9' || c >= 'a' && c <= 'z' || c >= 'A' && c <= 'Z'
		if !alnum && (i == 0 || c != '_' && c != '.' && c != '-') {
			return false
		}
	}
	return s != ""
}

// CheckLinkName is nil if name may be a link's name (dev_valid_name of net/core/dev.c).
func CheckLinkName(name string) error {
	switch {
	case len(name) > maxIfName:
		return fmt.Errorf("%q is longer than %d characters, the kernel's limit", name, maxIfName)
	case name == "" || name == "." || name == "..":
		return fmt.Errorf("%q is not a name for a link", name)
	case strings.ContainsAny(name, "/:% \t\n\v\f\r\x00") || strings.IndexByte(name, 0xa0) >= 0:
		// '%': the kernel would take "eth%d" as a pattern (dev_alloc_name).
		return fmt.Errorf("%q holds a slash, colon, percent sign or white space, which no link name may", name)
	}
	return nil
}

// Is says whether "type" of a configuration is a plugin's name, or ends in it after a dash:
// BuildKit calls buildkit-cni-bridge, OpenShift cnv-bridge.
func Is(name, plugin string) bool {
	return name == plugin || strings.HasSuffix(name, "-"+plugin)
}
