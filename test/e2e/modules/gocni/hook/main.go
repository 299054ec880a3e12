// Command hook is what nerdctl's OCI hook does with CNI, by nerdctl's own library, go-cni,
// and in nerdctl's order; nerdctl itself can't be had everywhere as a Go module.
//
//	hook create   attaches the container whose state is on stdin
//	hook remove   detaches it
package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"

	cni "github.com/containerd/go-cni"
	specs "github.com/opencontainers/runtime-spec/specs-go"
)

// annotation has a container's wish.
const annotation = "bridgeport/wish"

// wish is what a person wrote after `nerdctl run`.
type wish struct {
	Files []string // of the networks
	Ports []cni.PortMapping
	IP    string
	IP6   string
	MAC   string
	Hold  bool // a process listens on the ports meanwhile
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: hook create|remove")
		os.Exit(2)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "hook:", err)
		os.Exit(1)
	}
}

func run(verb string) error {
	var state specs.State
	if err := json.NewDecoder(os.Stdin).Decode(&state); err != nil {
		return err
	}
	var w wish
	if err := json.Unmarshal([]byte(state.Annotations[annotation]), &w); err != nil {
		return err
	}
	network, err := w.network()
	if err != nil {
		return err
	}
	id := "default-" + state.ID // nerdctl puts containerd's namespace before it
	switch verb {
	case "create":
		return w.create(network, id, fmt.Sprintf("/proc/%d/ns/net", state.Pid))
	case "remove":
		return errors.Join(network.Remove(context.Background(), id, "", w.options()...), release(id))
	}
	return fmt.Errorf("%s: no such verb", verb)
}

// network is all of the container's networks. There is no loopback in it.
func (w *wish) network() (cni.CNI, error) {
	options := []cni.Opt{cni.WithPluginDir([]string{"/opt/cni/bin"})}
	for _, file := range w.Files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, err
		}
		options = append(options, cni.WithConfListBytes(text))
	}
	return cni.New(options...)
}

// options are the arguments of each call.
func (w *wish) options() (list []cni.NamespaceOpts) {
	if len(w.Ports) > 0 {
		list = append(list, cni.WithCapabilityPortMap(w.Ports))
	}
	loose := cni.WithLabels(map[string]string{"IgnoreUnknown": "1"})
	if w.IP != "" {
		list = append(list, loose, cni.WithArgs("IP", w.IP))
	}
	if w.MAC != "" {
		list = append(list, loose, cni.WithArgs("MAC", w.MAC))
	}
	if w.IP6 != "" {
		list = append(list, loose, cni.WithCapability("ips", []string{w.IP6}))
	}
	return list
}

func (w *wish) create(network cni.CNI, id, netns string) (err error) {
	options := append(w.options(), cni.WithLabels(map[string]string{"IgnoreUnknown": "1"}), cni.WithArgs("NERDCTL_CNI_DHCP_HOSTNAME", "host"))
	if w.Hold {
		if err := errors.Join(release(id), w.hold(id)); err != nil {
			return err
		}
		defer func() {
			if err != nil {
				err = errors.Join(err, release(id))
			}
		}()
	}
	// It may be there still, if containerd ended before the container. The error does not count.
	_ = network.Remove(context.Background(), id, "", options...)
	_, err = network.Setup(context.Background(), id, netns, options...)
	return err
}
