package node

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
	"github.com/bridgeport-cni/bridgeport/pkg/log"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/containernetworking/cni/libcni"
	current "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/types/create"
	"github.com/containernetworking/cni/pkg/version"
)

// Network is a network's configuration.
type Network struct {
	File       string `json:"-"`
	Name       string `json:"name"`
	CNIVersion string `json:"cniVersion"`
	// Versions are those that the list allows beside it; a runtime takes the newest that it knows.
	Versions []string          `json:"cniVersions"`
	Plugins  []Plugin          `json:"-"`
	Inlined  []json.RawMessage `json:"plugins"` // the plugins' texts, those of the drop-ins, too
	Type     string            `json:"type"`    // of a single plugin's configuration; "" of a list
	DropIns  []string          `json:"-"`       // files of its drop-in folder, whose plugins are the last ones
	Bytes    []byte            `json:"-"`
	Bad      error             `json:"-"` // why a runtime can't read it; nil if it can
	single   bool              // it is one plugin's configuration, not a list
}

// Plugin is one plugin's configuration.
type Plugin struct {
	Type         string          `json:"type"`
	Capabilities map[string]bool `json:"capabilities"`
	IPAM         struct {
		Type string `json:"type"`
	} `json:"ipam"`
	// What the plugin itself reads in it; nil of other plugins, and where ADD would fail.
	Bridge *bridge.Conf `json:"-"`
	Lease  *lease.Conf  `json:"-"`
	// DataDir is where host-local has leases, LogFile where the plugin writes a log; "" where none is named.
	DataDir, LogFile string                     `json:"-"`
	Raw              map[string]json.RawMessage `json:"-"`
}

// Masquerades says whether the plugin has rules of nf_tables for the way out.
func (p Plugin) Masquerades() bool { return p.Bridge != nil && p.Bridge.IPMasq && !p.Bridge.IPTables }

// Kind is the plugin that the type stands for, where it is called by another name: bridge,
// portmap, or the type itself.
func (p Plugin) Kind() string {
	for _, kind := range []string{"bridge", "portmap"} {
		if cni.Is(p.Type, kind) {
			return kind
		}
	}
	return p.Type
}

// Leases says whether addresses come from host-local, under whatever name.
func (p Plugin) Leases() bool { return cni.Is(p.IPAM.Type, "host-local") }

// read reads the configuration of a plugin that is ours.
func (p *Plugin) read(n *Network, raw []byte) {
	if settings, err := log.Read(raw); err == nil {
		p.LogFile = settings.File
	}
	leased := p.Leases()
	if leased {
		p.DataDir = lease.DataDir(raw)
	}
	req, err := Request(n, *p, Call{ContainerID: "x", IfName: "eth0"}, "DEL", nil)
	if err != nil {
		return // lint tells, here and below
	}
	if p.Kind() == "bridge" {
		p.Bridge, _ = bridge.Read(req)
	}
	if leased {
		p.Lease, _ = lease.Parse(req)
	}
}

// Request is the call of one plugin, as libcni would make it: the list's name and
// version, what the plugin's capabilities let through, and the previous result.
func Request(n *Network, p Plugin, call Call, command string, prev json.RawMessage) (*cni.Request, error) {
	conf := make(map[string]any)
	for k, v := range p.Raw {
		conf[k] = v
	}
	conf["name"], conf["cniVersion"] = n.Name, n.CNIVersion
	runtime := make(map[string]any)
	if raw := p.Raw["runtimeConfig"]; raw != nil {
		if err := json.Unmarshal(raw, &runtime); err != nil {
			return nil, fmt.Errorf("runtimeConfig: %w", err)
		}
	}
	for capability, on := range p.Capabilities {
		if data, ok := call.CapabilityArgs[capability]; on && ok {
			runtime[capability] = data
		}
	}
	if len(runtime) > 0 {
		conf["runtimeConfig"] = runtime
	}
	if len(prev) > 0 {
		conf["prevResult"] = prev
	}
	text, err := json.Marshal(conf)
	if err != nil {
		return nil, err
	}
	var args []string
	for _, a := range call.CNIArgs {
		args = append(args, a[0]+"="+a[1])
	}
	return cni.Read([]string{
		"CNI_COMMAND=" + command, "CNI_CONTAINERID=" + call.ContainerID, "CNI_NETNS=" + call.NetNS,
		"CNI_IFNAME=" + call.IfName, "CNI_ARGS=" + strings.Join(args, ";"),
	}, bytes.NewReader(text))
}

// Networks reads the configuration files as libcni does: *.conf, *.conflist and *.json, sorted by name.
func Networks(dir string) ([]Network, error) {
	files, err := libcni.ConfFiles(dir, []string{".conf", ".conflist", ".json"})
	if err != nil {
		return nil, fmt.Errorf("configurations: %w", err)
	}
	var list []Network
	for _, path := range files {
		data, err := os.ReadFile(path)
		var net Network
		if err == nil {
			net, err = ParseNetwork(path, data)
		}
		net.File, net.Bytes, net.Bad = path, data, err
		if err == nil && filepath.Ext(path) == ".conflist" && net.single {
			net.Bad = errors.New("plugins: missing, a .conflist needs a list of them")
		}
		list = append(list, net)
	}
	return list, nil
}

// Newest is the version that a runtime of today takes: of cniVersion and cniVersions.
func Newest(best string, others []string) string {
	for _, v := range others {
		if newer, err := version.GreaterThan(v, best); err == nil && newer && slices.Contains(version.All.SupportedVersions(), v) {
			best = v
		}
	}
	return best
}

// DropIns are the files with more plugins of a list: NAME/*.conf beside a .conflist that wants not only its own.
func DropIns(file string, data []byte) ([]string, error) {
	list, err := libcni.NetworkConfFromBytes(data)
	if err != nil || list.LoadOnlyInlinedPlugins || filepath.Ext(file) != ".conflist" || list.Name == "" {
		return nil, err
	}
	return libcni.ConfFiles(filepath.Join(filepath.Dir(file), list.Name), []string{".conf"})
}

// ParseNetwork reads a list with its drop-ins, or a single plugin's configuration.
func ParseNetwork(file string, data []byte) (Network, error) {
	var net Network
	if err := json.Unmarshal(data, &net); err != nil {
		return net, err
	}
	net.CNIVersion = Newest(net.CNIVersion, net.Versions)
	if net.single = len(net.Inlined) == 0 && net.Type != ""; net.single {
		net.Inlined = []json.RawMessage{data}
	}
	if net.Name == "" {
		return net, errors.New("name: missing, every network needs one")
	}
	if !net.single {
		var err error
		if net.DropIns, err = DropIns(file, data); err != nil {
			return net, err
		}
	}
	for _, file := range net.DropIns {
		raw, err := os.ReadFile(file)
		if err != nil {
			return net, err
		}
		net.Inlined = append(net.Inlined, raw)
	}
	return net, net.parse()
}

func (n *Network) parse() error {
	for _, raw := range n.Inlined {
		var p Plugin
		if err := errors.Join(json.Unmarshal(raw, &p), json.Unmarshal(raw, &p.Raw)); err != nil {
			return err
		}
		if p.Type == "" {
			return errors.New("type: missing, each plugin needs the name of its program")
		}
		p.read(n, raw)
		n.Plugins = append(n.Plugins, p)
	}
	if len(n.Plugins) == 0 {
		return fmt.Errorf("plugins: missing, neither the file nor a folder %s has any", n.Name)
	}
	return nil
}

// Cached is what libcni remembers of one attachment: the call and its result.
type Cached struct {
	File    string
	Time    time.Time // of the ADD
	Network           // of the list that was used, with the drop-in folder as it is now; Bad where it can't be read
	Result  *current.Result
	Call
}

// Call is the runtime's call, as libcni keeps it (libcni, cachedInfo).
type Call struct {
	Kind           string          `json:"kind"`
	ContainerID    string          `json:"containerId"`
	Config         []byte          `json:"config"`
	IfName         string          `json:"ifName"`
	NetworkName    string          `json:"networkName"`
	NetNS          string          `json:"netns"`
	CNIArgs        [][2]string     `json:"cniArgs"`
	CapabilityArgs map[string]any  `json:"capabilityArgs"`
	RawResult      json.RawMessage `json:"result"`
}

// Args is the call's CNI_ARGS.
func (c Call) Args() cni.Args {
	args := make(cni.Args)
	for _, a := range c.CNIArgs {
		args[a[0]] = a[1]
	}
	return args
}

// Broken is a file of the cache that can't be read: a crash left it, or it is half written this very moment.
type Broken struct {
	File string
	Time time.Time // of the last write
	Why  error
}

// cached reads the files of the cache whose names begin so. What an old libcni wrote, which is JSON of
// another kind, is left out. A name is that of the network, the container's ID and the link's, with '-'.
func cached(dir, conf, beginning string) (all []Cached, broken []Broken, err error) {
	entries, err := os.ReadDir(filepath.Join(dir, "results"))
	if errors.Is(err, os.ErrNotExist) {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, fmt.Errorf("cache: %w", err)
	}
	for _, e := range entries {
		if !strings.HasPrefix(e.Name(), beginning) {
			continue
		}
		c := Cached{File: filepath.Join(dir, "results", e.Name())}
		if info, err := e.Info(); err == nil {
			c.Time = info.ModTime()
		}
		data, err := os.ReadFile(c.File)
		if errors.Is(err, os.ErrNotExist) {
			continue // deleted meanwhile
		}
		if err == nil {
			err = json.Unmarshal(data, &c.Call)
		}
		if err != nil && !e.IsDir() {
			broken = append(broken, Broken{c.File, c.Time, err})
		}
		if err != nil || c.Kind != "cniCacheV1" || c.NetworkName == "" {
			continue
		}
		if res, err := create.CreateFromBytes(c.RawResult); err == nil {
			c.Result, _ = current.NewResultFromResult(res) // nil where it can't be read
		}
		if c.Network, err = ParseNetwork(filepath.Join(conf, "of.conflist"), c.Config); err != nil {
			c.Network = Network{Bad: err}
		}
		all = append(all, c)
	}
	return all, broken, nil
}
