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

// advice is for who calls the file by another name, such as plugins, which `go install` gives it.
const advice = `%[1]s: not the name of a plugin: give the file its names, bridge, portmap, host-local and loopback:
    for name in bridge portmap host-local loopback; do sudo install -D %[2]s /opt/cni/bin/$name; done
Hard links will do, and so do names that end in one of these.
`

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
	path, _ := os.Executable() // "" after an error
	fmt.Fprintf(os.Stderr, advice, name, path)
	os.Exit(2)
}
