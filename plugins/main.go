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
	switch name {
	case "bridge":
		os.Exit(cni.Main(bridge.Plugin(), os.Args))
	case "portmap":
		os.Exit(cni.Main(portmap.Plugin(), os.Args))
	case "host-local":
		os.Exit(cni.Main(hostlocal.Plugin(), os.Args))
	case "loopback":
		os.Exit(cni.Main(loopback.Plugin(), os.Args))
	}
	fmt.Fprintf(os.Stderr, "%s: not the name of a plugin: call this program bridge, portmap, host-local or loopback (hard links or copies)\n", name)
	os.Exit(2)
}
