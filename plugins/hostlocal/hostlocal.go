// Package hostlocal is the host-local IPAM plugin: addresses from ranges that this
// host alone hands out, with leases as files that the reference plugin reads and
// writes too.
package hostlocal

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// Plugin is the verbs of host-local.
func Plugin() cni.Plugin {
	return cni.Plugin{
		Name: "host-local", About: "IP address management: leases in files, one for each address",
		Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del,
	}
}

// Add leases one address from each range set. Errors: CodeConflict for an address
// that is taken, CodeExhausted for an empty pool, CodeIO for a store that can't be
// written. On error nothing is leased.
func Add(req *cni.Request) (*current.Result, error) {
	c, err := Parse(req)
	if err != nil {
		return nil, err
	}
	s, err := open(c.DataDir, req.Network, true)
	if err != nil {
		return nil, err
	}
	defer s.Close()
	leases, err := s.allocate(c, keyOf(req))
	if err != nil {
		return nil, err
	}
	res := &current.Result{CNIVersion: current.ImplementedSpecVersion, Routes: c.Routes, DNS: c.DNS}
	for _, l := range leases {
		res.IPs = append(res.IPs, &current.IPConfig{
			Address: cni.IPNet(netip.PrefixFrom(l.Addr, l.Subnet.Bits())),
			Gateway: l.Gateway.AsSlice(),
		})
	}
	return res, nil
}

func keyOf(req *cni.Request) Key { return Key{req.ContainerID, req.IfName} }

// dataDirOf reads dataDir of a configuration that may be wrong otherwise. Whatever is wrong
// with it, the default is the best guess.
func dataDirOf(req *cni.Request) string {
	if dir := req.Tolerant().DataDir; filepath.IsAbs(dir) {
		return dir
	}
	return defaultDataDir
}

// Del gives all addresses of the attachment back. It needs nothing of the
// configuration but name and dataDir; an attachment without leases is success.
func Del(req *cni.Request) error {
	s, err := open(dataDirOf(req), req.Network, false)
	if errors.Is(err, errNoStore) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return s.release(keyOf(req))
}

// Held lists the addresses leased to the attachment, as far as they can be found.
func Held(req *cni.Request) ([]netip.Addr, error) {
	s, err := open(dataDirOf(req), req.Network, false)
	if errors.Is(err, errNoStore) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	defer s.Close()
	o, err := s.of(keyOf(req))
	return o.addrs, err
}

// Check says whether each address of prevResult that lies in our ranges is leased
// to the attachment.
func Check(req *cni.Request) error {
	c, err := Parse(req)
	if err != nil {
		return err
	}
	prev, err := req.Prev()
	if err != nil {
		return err
	}
	s, err := open(c.DataDir, req.Network, false)
	if errors.Is(err, errNoStore) {
		return cni.Errorf(cni.CodeDrift, "leases: network %s has none, expected one for container %s", req.Network, req.ContainerID)
	}
	if err != nil {
		return err
	}
	defer s.Close()
	return s.check(c, keyOf(req), prev)
}

func (s *Store) check(c *Conf, key Key, prev *current.Result) error {
	var bad []string
	found := 0
	for _, ip := range prev.IPs {
		a := cni.Addr(ip.Address.IP)
		if !inSets(c.Sets, a) {
			continue
		}
		have, exists, err := s.holder(a)
		switch {
		case err != nil:
			return err
		case !exists:
			bad = append(bad, fmt.Sprintf("address %s is not leased to anyone, expected container %s", a, key.ContainerID))
		case have != key && have != (Key{ContainerID: key.ContainerID}):
			bad = append(bad, fmt.Sprintf("address %s is leased to container %q link %q, expected container %q link %q",
				a, have.ContainerID, have.IfName, key.ContainerID, key.IfName))
		default:
			found++
		}
	}
	if len(bad) == 0 && found == 0 {
		bad = append(bad, fmt.Sprintf("no address of the result is in the ranges of network's host-local, container %s", key.ContainerID))
	}
	if len(bad) > 0 {
		return cni.Errorf(cni.CodeDrift, "leases: %s", strings.Join(bad, "; "))
	}
	return nil
}

func inSets(sets []RangeSet, a netip.Addr) bool {
	for _, s := range sets {
		if s.inSubnet(a) {
			return true
		}
	}
	return false
}

// GC removes the leases of attachments that are not in the list of valid ones, and
// files that are no leases. Without a list it does nothing: a missing list is not
// an empty one.
func GC(req *cni.Request) error {
	list, present, err := req.Valid()
	if err != nil || !present {
		return err
	}
	s, err := open(dataDirOf(req), req.Network, false)
	if errors.Is(err, errNoStore) {
		return nil
	}
	if err != nil {
		return err
	}
	defer s.Close()
	valid := make(map[Key]bool)
	ids := make(map[string]bool)
	for _, a := range list {
		valid[Key{a.ContainerID, a.IfName}], ids[a.ContainerID] = true, true
	}
	s.index.tidy()
	if err := s.sync(); err != nil {
		return err
	}
	// All leases of an owner go together: as long as one is left the index knows it.
	dead := make(map[Key][]netip.Addr)
	err = s.each(func(a netip.Addr, key Key) error {
		if !valid[key] && (key.IfName != "" || !ids[key.ContainerID]) {
			dead[key] = append(dead[key], a)
		}
		return nil
	})
	var errs []error
	for key, addrs := range dead {
		if err := s.drop(key, addrs); err != nil {
			errs = append(errs, err)
		}
	}
	s.stamp()
	return errors.Join(append(errs, err)...)
}

// Status says whether an ADD would get an address: the configuration is right, the
// store can be written, and each range set has a free address.
func Status(req *cni.Request) error {
	c, err := Parse(req)
	if err != nil {
		return err
	}
	dir := filepath.Join(c.DataDir, req.Network)
	if err := writable(dir); err != nil {
		return cni.Errorf(cni.CodeNotReady, "leases: %w", err)
	}
	s, err := open(c.DataDir, req.Network, false)
	if errors.Is(err, errNoStore) {
		return nil // an empty network has room
	}
	if err != nil {
		return err
	}
	defer s.Close()
	for i, set := range c.Sets {
		_, err := s.firstFree(set, s.last(i))
		if err == nil {
			continue
		}
		if !errors.Is(err, errFull) {
			return err
		}
		if dead, _, err := s.dead(set); err != nil || len(dead) == 0 {
			return cni.Errorf(cni.CodeNotReady, "no IP addresses available in range set: %s: all are leased; `bridgeport gc` removes leases of containers that are gone", set)
		}
	}
	return nil
}

// writable asks the kernel about the directory, or about the nearest one above it
// that exists.
func writable(dir string) error {
	for {
		err := unix.Access(dir, unix.W_OK|unix.X_OK)
		if !errors.Is(err, unix.ENOENT) || dir == "/" {
			if err != nil {
				return &os.PathError{Op: "write to", Path: dir, Err: err}
			}
			return nil
		}
		dir = filepath.Dir(dir)
	}
}
