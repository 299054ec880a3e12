package kit

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// Sandbox is a pod as the runtime knows it: its addresses, and the namespace to ask
// and answer in.
type Sandbox struct {
	Space *stage.Space
	Addrs []netip.Addr
}

// Inspect asks the runtime for a pod's addresses and namespace.
func (n *Node) Inspect(id string) (s Sandbox, err error) {
	text, err := n.Crictl("inspectp", id)
	if err != nil {
		return s, err
	}
	return ReadSandbox(text, n.Enter)
}

// ReadSandbox takes them from what the runtime says of a pod. enter opens a namespace by its
// path there.
func ReadSandbox(text string, enter func(path string) (*stage.Space, error)) (s Sandbox, err error) {
	var answer struct {
		Status struct {
			Network struct {
				IP            string
				AdditionalIPs []struct{ IP string } `json:"additionalIps"`
			}
		}
		Info struct {
			RuntimeSpec struct {
				Linux struct {
					Namespaces []struct{ Type, Path string }
				}
			}
		}
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		return s, err
	}
	texts := []string{answer.Status.Network.IP}
	for _, more := range answer.Status.Network.AdditionalIPs {
		texts = append(texts, more.IP)
	}
	for _, t := range texts {
		addr, err := netip.ParseAddr(t)
		if err != nil {
			return s, fmt.Errorf("pod's address: %w", err)
		}
		s.Addrs = append(s.Addrs, addr)
	}
	for _, ns := range answer.Info.RuntimeSpec.Linux.Namespaces {
		if ns.Type == "network" {
			s.Space, err = enter(ns.Path)
			return s, err
		}
	}
	return s, errors.New("pod: the runtime names no network namespace")
}
