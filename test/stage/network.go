package stage

import (
	"context"
	"path/filepath"

	"github.com/containernetworking/cni/libcni"
	"github.com/containernetworking/cni/pkg/invoke"
	"github.com/containernetworking/cni/pkg/types"
	types100 "github.com/containernetworking/cni/pkg/types/100"
	"github.com/containernetworking/cni/pkg/version"
)

// Network drives a network configuration list through libcni, as containerd,
// CRI-O and nerdctl do. The plugins run inside a space, the "host".
type Network struct {
	space *Space
	list  *libcni.NetworkConfigList
	cni   *libcni.CNIConfig
	// Args are CNI_ARGS of all calls to come, in this order; none by default.
	Args [][2]string
}

// Network reads a conflist. Plugins come from the directory bin; libcni keeps the
// results of ADD below cacheDir.
func (s *Space) Network(conflist []byte, bin, cacheDir string) (*Network, error) {
	list, err := libcni.NetworkConfFromBytes(conflist)
	if err != nil {
		return nil, s.errorf(err, "read network configuration")
	}
	return s.NetworkOf(list, bin, cacheDir)
}

// NetworkOf is a network that libcni has read already.
func (s *Space) NetworkOf(list *libcni.NetworkConfigList, bin, cacheDir string) (*Network, error) {
	bin, err := filepath.Abs(bin)
	if err != nil {
		return nil, err
	}
	inside := &insideExec{space: s}
	return &Network{
		space: s,
		list:  list,
		cni:   libcni.NewCNIConfigWithCacheDir([]string{bin}, cacheDir, inside),
	}, nil
}

// Name is the name of the network.
func (n *Network) Name() string { return n.list.Name }

// Add attaches a container. portMappings may be nil.
func (n *Network) Add(id, netnsPath, ifName string, portMappings []map[string]any) (*types100.Result, error) {
	ctx, cancel := deadline()
	defer cancel()
	result, err := n.cni.AddNetworkList(ctx, n.list, n.runtimeConf(id, netnsPath, ifName, portMappings))
	if err != nil {
		return nil, n.errorf(err, "add %s %s", id, ifName)
	}
	converted, err := types100.NewResultFromResult(result)
	return converted, n.errorf(err, "add %s %s: result", id, ifName)
}

// Check compares an attachment with what its ADD made.
func (n *Network) Check(id, netnsPath, ifName string, portMappings []map[string]any) error {
	ctx, cancel := deadline()
	defer cancel()
	err := n.cni.CheckNetworkList(ctx, n.list, n.runtimeConf(id, netnsPath, ifName, portMappings))
	return n.errorf(err, "check %s %s", id, ifName)
}

// Del detaches a container.
func (n *Network) Del(id, netnsPath, ifName string, portMappings []map[string]any) error {
	ctx, cancel := deadline()
	defer cancel()
	err := n.cni.DelNetworkList(ctx, n.list, n.runtimeConf(id, netnsPath, ifName, portMappings))
	return n.errorf(err, "delete %s %s", id, ifName)
}

// GC removes every attachment of the network that valid does not name. As libcni
// does it: a DEL for each one that the cache knows, then GC of each plugin.
func (n *Network) GC(valid []types.GCAttachment) error {
	ctx, cancel := deadline()
	defer cancel()
	if valid == nil {
		valid = []types.GCAttachment{} // null would reach the plugin as "no list given"
	}
	return n.errorf(n.cni.GCNetworkList(ctx, n.list, &libcni.GCArgs{ValidAttachments: valid}), "gc")
}

// Status asks whether an ADD would work now.
func (n *Network) Status() error {
	ctx, cancel := deadline()
	defer cancel()
	return n.errorf(n.cni.GetStatusNetworkList(ctx, n.list), "status")
}

func (n *Network) errorf(err error, action string, args ...any) error {
	return n.space.errorf(err, "network "+n.list.Name+": "+action, args...)
}

func deadline() (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), callTimeout)
}

func (n *Network) runtimeConf(id, netnsPath, ifName string, portMappings []map[string]any) *libcni.RuntimeConf {
	rt := &libcni.RuntimeConf{ContainerID: id, NetNS: netnsPath, IfName: ifName, Args: n.Args}
	if portMappings != nil {
		rt.CapabilityArgs = map[string]any{"portMappings": portMappings}
	}
	return rt
}

// insideExec runs plugins with the thread inside the space; the child inherits it.
type insideExec struct {
	version.PluginDecoder
	invoke.RawExec
	space *Space
}

func (e *insideExec) ExecPlugin(ctx context.Context, path string, stdin []byte, environ []string) (out []byte, err error) {
	err = e.space.Do(func() error {
		out, err = e.RawExec.ExecPlugin(ctx, path, stdin, environ)
		return err
	})
	return out, err
}
