package lease

import (
	"cmp"
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
	"golang.org/x/sys/unix"
)

// Verbs is the plugin host-local.
func Verbs() cni.Plugin {
	return cni.Plugin{Name: "host-local", Add: Add, Check: Check, Del: Del, GC: GC, Status: Status, Undo: Del}
}

func ownerOf(req *cni.Request) Owner { return Owner{req.ContainerID, req.IfName} }

// Add leases one address from each range set. On error nothing is leased. Errors:
// CodeConflict for an address that is taken, CodeExhausted for an empty pool, CodeIO for a
// store that can't be written.
func Add(req *cni.Request) (*current.Result, error) { return AddBeside(req, nil, nil) }

// AddBeside is Add that leases none of the addresses in use, whatever the files say: their
// leases were lost. An address that the request asks for is leased all the same. Where something
// else has changed the files, AddBeside asks for the attachments that live, and leases anew what
// they use; nil for nobody to ask.
func AddBeside(req *cni.Request, living func() ([]Living, error), used []netip.Addr) (*current.Result, error) {
	c, err := Parse(req)
	if err != nil {
		return nil, err
	}
	if n := len(ownerOf(req).text()) - maxLease; n > 0 { // DEL would not know the lease again
		return nil, cni.Errorf(cni.CodeEnv, "CNI_CONTAINERID: %d characters: make it %d shorter", len(req.ContainerID), n)
	}
	s, err := create(c.DataDir, req.Network)
	if err != nil {
		return nil, err
	}
	defer s.close()
	s.used = used
	if living != nil {
		s.living = func() ([]Living, error) {
			list, err := living()
			for i, l := range list {
				list[i].Addrs = slices.DeleteFunc(l.Addrs, func(a netip.Addr) bool { return !c.inSubnet(a) })
			}
			return list, err
		}
	}
	leases, err := s.allocate(c, ownerOf(req))
	if err != nil {
		return nil, err
	}
	return c.Result(leases), nil
}

// Result is the result of Add.
func (c *Conf) Result(leases []Lease) *current.Result {
	res := &current.Result{CNIVersion: current.ImplementedSpecVersion, Routes: c.Routes, DNS: c.DNS}
	for _, l := range leases {
		res.IPs = append(res.IPs, &current.IPConfig{
			Address: cni.IPNet(netip.PrefixFrom(l.Addr, l.Subnet.Bits())),
			Gateway: l.Gateway.AsSlice(),
		})
	}
	return res
}

// Del gives all addresses of the attachment back. It needs only name and dataDir of the
// configuration. An attachment without leases is success.
func Del(req *cni.Request) error {
	return existing(dataDir(req), req.Network, func(s *store) error {
		s.index.tidy()
		h, err := s.of(ownerOf(req))
		if err != nil {
			return err
		}
		err = s.drop(h.owner, h.addrs) // without leases, a crash may have left an entry in the index
		if len(h.addrs) > 0 {
			s.stamp()
		}
		return err
	})
}

// Held lists the addresses that are leased to the attachment. It takes no lock: the verb that gives
// them back waits for it, and one wait is enough.
func Held(req *cni.Request) ([]netip.Addr, error) {
	h, err := unlocked(dataDir(req), req.Network).of(ownerOf(req))
	return h.addrs, err
}

// Check says whether each address of prevResult in our ranges is leased to the attachment.
func Check(req *cni.Request) error {
	c, err := Parse(req)
	if err != nil {
		return err
	}
	prev, err := req.Prev()
	if err != nil {
		return err
	}
	checked := false
	err = existing(c.DataDir, req.Network, func(s *store) error {
		checked = true
		return s.check(c, ownerOf(req), prev)
	})
	if err == nil && !checked {
		return cni.Errorf(cni.CodeDrift, "leases: network %s has none, expected one for container %s", req.Network, req.ContainerID)
	}
	return err
}

func (s *store) check(c *Conf, o Owner, prev *current.Result) error {
	var bad []string
	found := 0
	for _, ip := range prev.IPs {
		a := cni.Addr(ip.Address.IP)
		if !c.inSubnet(a) {
			continue
		}
		have, exists, err := s.owner(a)
		switch {
		case err != nil:
			return err
		case !exists:
			bad = append(bad, fmt.Sprintf("address %s is not leased to anyone, expected container %s", a, o.ContainerID))
		case have != o && have != (Owner{ContainerID: o.ContainerID}):
			bad = append(bad, fmt.Sprintf("address %s is leased to container %q link %q, expected container %q link %q",
				a, have.ContainerID, have.IfName, o.ContainerID, o.IfName))
		default:
			found++
		}
	}
	if len(bad) == 0 && found == 0 {
		bad = append(bad, fmt.Sprintf("no address of the result is in the ranges of network's host-local, container %s", o.ContainerID))
	}
	if len(bad) > 0 {
		return cni.Errorf(cni.CodeDrift, "leases: %s", strings.Join(bad, "; "))
	}
	return nil
}

// GC removes the leases of attachments that are not in the list of valid ones, and files
// that are no leases. Without a list it does nothing.
func GC(req *cni.Request) error {
	valid, present, err := req.Valid()
	if err != nil || !present {
		return err
	}
	return existing(dataDir(req), req.Network, func(s *store) error {
		s.index.tidy()
		_ = s.sync() // GC reads the files
		// The index keeps its entry for an owner until all leases of the owner are gone.
		dead, err := s.invalid(valid)
		errs := []error{err}
		for o, addrs := range dead {
			errs = append(errs, s.drop(o, addrs))
		}
		s.stamp()
		return errors.Join(errs...)
	})
}

// Invalid lists the addresses that GC would give back with this list of attachments. Like Held it
// takes no lock.
func Invalid(req *cni.Request, valid []types.GCAttachment) (addrs []netip.Addr, err error) {
	dead, err := unlocked(dataDir(req), req.Network).invalid(valid)
	for _, list := range dead {
		addrs = append(addrs, list...)
	}
	return addrs, err
}

// invalid finds the leases that belong to none of the attachments. A lease of the oldest
// form belongs to its container, whatever the link.
func (s *store) invalid(valid []types.GCAttachment) (map[Owner][]netip.Addr, error) {
	alive := make(map[Owner]bool)
	for _, a := range valid {
		alive[Owner{a.ContainerID, a.IfName}], alive[Owner{ContainerID: a.ContainerID}] = true, true
	}
	return s.byOwner(func(_ netip.Addr, o Owner) bool { return !alive[o] })
}

// Status is nil if an ADD would get an address: the configuration is right, the store can be
// written and has room, and each range set has a free address. A lock that is held does not stop it.
func Status(req *cni.Request) error {
	c, err := Parse(req)
	if err != nil {
		return err
	}
	s := unlocked(c.DataDir, req.Network)
	if err := cmp.Or(writable(s.dir), writable(s.index.dir), trusted(c.DataDir, s.dir), s.room(len(c.Sets))); err != nil {
		return cni.Errorf(cni.CodeNotReady, "%w", err)
	}
	err = s.takeLock(0)
	switch {
	case err == nil:
		defer s.close()
	case cni.Code(err) != cni.CodeTryLater && !errors.Is(err, os.ErrNotExist): // a network without a store has room
		return cni.Errorf(cni.CodeNotReady, "%w", err)
	}
	for i, set := range c.Sets {
		if _, _, err := s.chooseFree(i, set, nil); cni.Code(err) == cni.CodeExhausted {
			return cni.Errorf(cni.CodeNotReady, "no IP addresses available in range set: %s: all are leased; `bridgeport gc` removes leases of containers that are gone", set)
		} else if err != nil {
			return cni.Errorf(cni.CodeNotReady, "%w", err)
		}
	}
	return nil
}

// writable asks the kernel about the directory, or about the nearest one above it
// that exists. The dot makes a file in its place an error.
func writable(dir string) error {
	err := unix.Access(dir+"/.", unix.W_OK|unix.X_OK)
	if errors.Is(err, unix.ENOENT) && dir != "/" {
		return writable(filepath.Dir(dir))
	}
	return ioError("write to "+dir, err)
}

// room is an error where the file system has not as many inodes and blocks as an ADD may take: the lease's file,
// the index's entry, for each address a link (tmpfs counts it) and a place of round-robin, and missing directories.
func (s *store) room(sets int) error {
	var fs unix.Statfs_t
	dir, need := s.dir, uint64(2+2*sets)
	err := unix.Statfs(dir, &fs)
	for ; errors.Is(err, unix.ENOENT) && dir != "/"; err = unix.Statfs(dir, &fs) {
		dir, need = filepath.Dir(dir), need+4
	}
	if err != nil || (fs.Blocks == 0 || fs.Bfree >= need) && (fs.Files == 0 || fs.Ffree >= need) { // some file systems count neither
		return nil
	}
	return ioError(fmt.Sprintf("write to %s: %d blocks and %d inodes are free, a lease may take %d", dir, fs.Bfree, fs.Ffree, need), unix.ENOSPC)
}

// Moved returns those of the addresses that the configuration does not hand out any more, as after
// a node was given another podCIDR; none where the configuration can't be read.
func Moved(req *cni.Request, addrs []netip.Addr) []netip.Addr {
	if len(addrs) == 0 {
		return nil
	}
	c, err := Parse(req)
	if err != nil {
		return nil
	}
	return slices.DeleteFunc(slices.Clone(addrs), c.inSubnet)
}

// InUse says whether any network of the same dataDir has leased an address of the subnet.
// The addresses in but, of this network, do not count. InUse takes no lock, and changes nothing:
// another network may be stuck, and a directory in dataDir need not be a network's. A network may
// lease while InUse looks, or just after. Whoever acts on the answer asks again afterwards.
func InUse(req *cni.Request, subnet netip.Prefix, but []netip.Addr) (bool, error) {
	networks, err := Networks(dataDir(req))
	if err != nil {
		return false, err
	}
	for _, network := range networks {
		names, err := unlocked(dataDir(req), network).names()
		if err != nil || slices.ContainsFunc(names, func(a netip.Addr) bool {
			return subnet.Contains(a) && (network != req.Network || !slices.Contains(but, a))
		}) {
			return err == nil, err
		}
	}
	return false, nil
}
