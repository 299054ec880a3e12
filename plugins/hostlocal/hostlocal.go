// Package hostlocal is the host-local IPAM plugin: addresses that this host alone hands out, with
// leases in files as the reference has them. pkg/lease does the work.
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
