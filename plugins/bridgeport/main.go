// Command bridgeport is the operator's command.
package main

import (
	"fmt"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/command"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/show"
	"github.com/bridgeport-cni/bridgeport/plugins/start"
)

func main() {
	start.Settle()
	cni.Version, cni.Commit = cni.Build()
	err := command.Root().Execute()
	if err != nil && err.Error() != "" {
		fmt.Fprintln(os.Stderr, "bridgeport:", show.Plain(err.Error()))
	}
	os.Exit(command.Status(err))
}
