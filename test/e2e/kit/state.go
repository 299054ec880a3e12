package kit

import (
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

// stateWait is how long the kernel may take for links of dead namespaces.
const stateWait = 10 * time.Second

// State is everything that attachments could leave on the node: links, addresses,
// routes, rules, sysctls, leases and the runtime's cached results; less what is kept by
// design.
func (n *Node) State() (snapshot.Snapshot, error) {
	all, err := snapshot.Take(n.NS, filepath.Join(n.Dir, "lib/cni"))
	return all.WithoutKept(), err
}

// Settled is State after what the kernel does on its own has come to rest.
func (n *Node) Settled() (snapshot.Snapshot, error) {
	return snapshot.Rest(stateWait, n.State)
}

// ExpectState wants the node back in a state.
func (n *Node) ExpectState(before snapshot.Snapshot) error {
	return before.Await(stateWait, n.State)
}

// ExpectNothing wants no trace of any attachment on the node.
func (n *Node) ExpectNothing() error {
	state, err := n.State()
	for key := range state {
		if strings.HasPrefix(key, "file ") || strings.HasPrefix(key, "link veth") || strings.HasPrefix(key, "nft ") && strings.Contains(key, " bridgeport ") {
			err = errors.Join(err, fmt.Errorf("left: %s: %s", key, state[key]))
		}
	}
	return err
}

// ExpectUnattached wants no attachment on the node: no link, no lease, no result, no element.
// What all attachments share may be there.
func (n *Node) ExpectUnattached() error {
	state, err := n.State()
	for key, text := range state {
		elements := strings.HasPrefix(key, "nft set ") && key != "nft set inet bridgeport loopback6" && strings.Contains(text, "element ")
		if elements || strings.HasPrefix(key, "file ") || strings.HasPrefix(key, "link veth") {
			err = errors.Join(err, fmt.Errorf("left: %s: %s", key, text))
		}
	}
	return err
}
