// Command crio is the part of CRI-O that calls CNI: ocicni, set up as CRI-O does it, with
// /etc/cni/net.d and /opt/cni/bin. It takes one call from each connection to the socket
// that is its argument.
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"os"
	"os/signal"
	"syscall"

	"github.com/cri-o/ocicni/pkg/ocicni"
)

// call is one of CRI-O's calls: setup, status, teardown, gc or ready.
type call struct {
	Verb  string
	Pod   ocicni.PodNetwork
	Valid []*ocicni.PodNetwork // the pods that live, of gc
}

type answer struct {
	Error   string
	Default string // name of the default network
	Results []ocicni.NetResult
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: crio SOCKET")
		os.Exit(2)
	}
	if err := serve(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "crio:", err)
		os.Exit(1)
	}
}

func serve(socket string) error {
	plugin, err := ocicni.InitCNI("", "/etc/cni/net.d", "/opt/cni/bin")
	if err != nil {
		return err
	}
	if err := os.Remove(socket); err != nil && !errors.Is(err, os.ErrNotExist) {
		return err
	}
	listener, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	end := make(chan os.Signal, 1)
	signal.Notify(end, syscall.SIGTERM)
	go func() {
		<-end
		listener.Close()
	}()
	for {
		conn, err := listener.Accept()
		if errors.Is(err, net.ErrClosed) {
			return plugin.Shutdown()
		}
		if err != nil {
			return err
		}
		go one(plugin, conn)
	}
}

func one(plugin ocicni.CNIPlugin, conn net.Conn) {
	defer conn.Close()
	var c call
	err := json.NewDecoder(conn).Decode(&c)
	a := answer{Default: plugin.GetDefaultNetworkName()}
	if err == nil {
		a.Results, err = do(plugin, c)
	}
	if err != nil {
		a.Error = err.Error()
	}
	if err := json.NewEncoder(conn).Encode(a); err != nil {
		fmt.Fprintln(os.Stderr, "crio: answer:", err)
	}
}

func do(plugin ocicni.CNIPlugin, c call) ([]ocicni.NetResult, error) {
	ctx := context.Background()
	switch c.Verb {
	case "setup":
		return plugin.SetUpPodWithContext(ctx, c.Pod)
	case "status":
		return plugin.GetPodNetworkStatusWithContext(ctx, c.Pod)
	case "teardown":
		return nil, plugin.TearDownPodWithContext(ctx, c.Pod)
	case "gc":
		return nil, plugin.GC(ctx, c.Valid)
	case "ready":
		return nil, plugin.StatusWithContext(ctx)
	}
	return nil, fmt.Errorf("%s: no such call", c.Verb)
}
