// Command bridgeport is the operator's command.
package main

import (
	"fmt"
	"os"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/spf13/cobra"
)

func main() {
	root := &cobra.Command{
		Use:           "bridgeport",
		Short:         "Container networks on this node, for the person who operates it",
		Version:       fmt.Sprintf("%s (commit %s)", cni.Version, cni.Commit),
		SilenceUsage:  true,
		SilenceErrors: true,
	}
	root.SetVersionTemplate("bridgeport {{.Version}}\n")
	if err := root.Execute(); err != nil {
		fmt.Fprintln(os.Stderr, "bridgeport:", err)
		os.Exit(1)
	}
}
