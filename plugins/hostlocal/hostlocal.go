// Package hostlocal is the host-local IPAM plugin: addresses from ranges that this
// host alone hands out, with leases as files that the reference plugin reads and
// writes too. The work is done by pkg/lease.
package hostlocal

import (
	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/lease"
)

// Plugin is the verbs of host-local.
func Plugin() cni.Plugin {
	p := lease.Verbs()
	p.About = "IP address management: leases in files, one for each address"
	return p
}
