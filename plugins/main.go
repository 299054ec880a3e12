// Command bridgeport-plugins is the CNI plugins bridge, portmap, host-local and
// loopback in one executable, which acts by the name it is called by.
package main

import (
	"fmt"
	"os"
	"path/filepath"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/plugins/bridge"
	"github.com/bridgeport-cni/bridgeport/plugins/hostlocal"
	"github.com/bridgeport-cni/bridgeport/plugins/loopback"
	"github.com/bridgeport-cni/bridgeport/plugins/portmap"
	"github.com/bridgeport-cni/bridgeport/plugins/start"
)

func main() {
	start.Settle()
	name := filepath.Base(os.Args[0])
	for plugin, verbs := range map[string]func() cni.Plugin{
		"bridge": bridge.Plugin, "portmap": portmap.Plugin, "host-local": hostlocal.Plugin, "loopback": loopback.Plugin,
	} {
		if cni.Is(name, plugin) {
			os.Exit(cni.Main(verbs(), os.Args))
		}
	}
	fmt.Fprintf(os.Stderr, "%s: not the name of a plugin: call this program bridge, portmap, host-local or loopback, or by a name that ends in one of them (hard links or copies)\n", name)
	os.Exit(2)
}
