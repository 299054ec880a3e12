// Command podcidr SOCKET CIDR[,CIDR] tells a container runtime the node's podCIDR, as
// kubelet does when the node has one (UpdateRuntimeConfig of the CRI). crictl has no
// command for it.
package main

import (
	"context"
	"fmt"
	"os"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	cri "k8s.io/cri-api/pkg/apis/runtime/v1"
)

func main() {
	if len(os.Args) != 3 {
		fmt.Fprintln(os.Stderr, "usage: podcidr SOCKET CIDR[,CIDR]")
		os.Exit(2)
	}
	if err := tell(os.Args[1], os.Args[2]); err != nil {
		fmt.Fprintln(os.Stderr, "podcidr:", err)
		os.Exit(1)
	}
}

func tell(socket, cidrs string) error {
	ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
	defer cancel()
	conn, err := grpc.NewClient("unix://"+socket, grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		return err
	}
	defer conn.Close()
	_, err = cri.NewRuntimeServiceClient(conn).UpdateRuntimeConfig(ctx, &cri.UpdateRuntimeConfigRequest{
		RuntimeConfig: &cri.RuntimeConfig{NetworkConfig: &cri.NetworkConfig{PodCidr: cidrs}},
	})
	return err
}
