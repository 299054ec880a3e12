// Package lease is the store of host-local: addresses from ranges that this host alone
// hands out. The files are the reference plugin's, so that both may work on one store.
//
// A lease is the file <dataDir>/<network>/<address>. Its content is the lease's owner:
// the container's ID, CR LF, the name of the link in the container. A range set is ranges
// of one family; each attachment gets one address from each set. The index finds the
// leases of an owner. A released address rests before it is handed out again. The boot
// that a lease was made in says whether its owner can still exist.
//
// The verbs take a plugin's request and keep the lock while they work:
//
//	res, err := lease.Add(req) // res.IPs has one address from each range set
//	err = lease.Check(req)     // with the result of ADD in the request
//	err = lease.Del(req)       // needs the owner, the network's name and dataDir only
package lease

import (
	"errors"
	"net/netip"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/file"
	"golang.org/x/sys/unix"
)

// Lease is one address for an attachment, with the range that it is from.
type Lease struct {
	Addr netip.Addr
	*Range
}

// Owner is the attachment of the network that has a lease. It is zero for a file that is
// no lease. Leases of the oldest form have no IfName.
type Owner struct{ ContainerID, IfName string }

func (o Owner) text() string { return o.ContainerID + "\r\n" + o.IfName }

// maxLease is more than any lease holds, in bytes: a container's ID and a link's name.
const maxLease = 4096

// owner reads who has the address. An empty or strange file exists, and has the zero Owner.
func (s *store) owner(a netip.Addr) (o Owner, exists bool, err error) {
	text, err := readText(s.path(a), unix.O_NOFOLLOW, maxLease)
	switch {
	case errors.Is(err, os.ErrNotExist):
		return Owner{}, false, nil
	case errors.Is(err, errNoFile):
		return Owner{}, true, nil
	case err != nil:
		return Owner{}, false, ioError("owner", err)
	}
	return parseOwner(text), true, nil
}

// parseOwner also reads the oldest form, which has no link's name. Zeros are no owner: file
// systems show them for content that a power cut has lost.
func parseOwner(text string) Owner {
	const space = " \t\r\n\v\f" // ASCII only: a link's name may hold any other character
	id, ifName, _ := strings.Cut(strings.Trim(text, space), "\n")
	if strings.ContainsRune(id, 0) {
		return Owner{}
	}
	return Owner{strings.Trim(id, space), strings.Trim(ifName, space)}
}

func (s *store) taken(a netip.Addr) (bool, error) {
	var st unix.Stat_t
	err := unix.Lstat(s.path(a), &st)
	if errors.Is(err, unix.ENOENT) {
		return false, nil
	}
	return true, ioError("look at "+s.path(a), err)
}

// write writes the leases of one owner: the index first, then each file. A file appears
// with its content or not at all. On error none is left.
func (s *store) write(o Owner, addrs []netip.Addr) error {
	tmp, err := s.temporary(o)
	if err != nil {
		return err
	}
	defer os.Remove(tmp)
	if err := s.index.write(o, bootID(), addrs); err != nil {
		return ioError("write index", err)
	}
	for i, a := range addrs {
		if err := os.Link(tmp, s.path(a)); err != nil {
			return errors.Join(ioError("write lease", err), s.drop(o, addrs[:i]))
		}
		_ = os.Remove(s.index.resting(a)) // absent, unless the address was released before
	}
	return nil
}

// temporary writes a lease's content, on the same file system. One writer needs but one name.
func (s *store) temporary(o Owner) (string, error) {
	tmp := s.index.temporary()
	create := func() error { return file.Write(tmp, unix.O_CREAT|unix.O_EXCL, 0o600, o.text()) }
	err := create()
	if errors.Is(err, os.ErrExist) {
		s.index.tidy() // what an ADD that was killed has left
		err = create()
	}
	if err != nil {
		s.index.tidy() // half of it, if anything
	}
	return tmp, ioError("write lease", err)
}

// drop removes leases, then the owner's entry in the index. Missing files are success.
func (s *store) drop(o Owner, addrs []netip.Addr) error {
	var errs []error
	for _, a := range addrs {
		errs = append(errs, s.free(a))
	}
	if err := errors.Join(errs...); err != nil || s.stale != nil {
		return err
	}
	return ioError("remove index", remove(s.index.path(o)))
}

// holding is the leases of one owner.
type holding struct {
	owner Owner // as the files have it: the oldest form has no link's name
	addrs []netip.Addr
	boot  string // the boot that the addresses were leased in; "-" where it is not known
}

// of finds the leases of an owner by the index, and compares them with the files. It brings
// the index up to date first. Where it can't it reads all files.
func (s *store) of(o Owner) (holding, error) {
	old := Owner{ContainerID: o.ContainerID}
	if s.sync() != nil {
		found, err := s.byOwner(func(_ netip.Addr, have Owner) bool { return have == o || have == old })
		if len(found[o]) == 0 {
			o = old
		}
		return holding{o, found[o], "-"}, err
	}
	for _, form := range []Owner{o, old} {
		hint, boot := s.index.get(form)
		addrs, err := s.held(form, hint)
		if err != nil || len(addrs) > 0 {
			return holding{form, addrs, boot}, err
		}
	}
	return holding{owner: o}, nil
}

// held returns those of the addresses that the files give to o, if only in the oldest form.
func (s *store) held(o Owner, hint []netip.Addr) (addrs []netip.Addr, err error) {
	for _, a := range hint {
		have, exists, err := s.owner(a)
		if err != nil {
			return nil, err
		}
		if exists && (have == o || have == Owner{ContainerID: o.ContainerID}) {
			addrs = append(addrs, a)
		}
	}
	return addrs, nil
}

// errNoFile says that what stands at a path is no regular file.
var errNoFile = errors.New("is no file")

// readText reads the first limit bytes of a regular file, with four system calls. It never blocks.
// The error is errNoFile for anything else that somebody planted there. flags is O_NOFOLLOW or 0.
func readText(path string, flags, limit int) (string, error) {
	fail := func(op string, err error) (string, error) { return "", &os.PathError{Op: op, Path: path, Err: err} }
	fd, err := unix.Open(path, unix.O_RDONLY|unix.O_CLOEXEC|unix.O_NONBLOCK|flags, 0)
	if errors.Is(err, unix.ENXIO) || errors.Is(err, unix.ELOOP) { // a socket, a symbolic link
		err = errNoFile
	}
	if err != nil {
		return fail("open", err)
	}
	defer unix.Close(fd)
	var st unix.Stat_t
	if err := unix.Fstat(fd, &st); err != nil {
		return fail("read", err)
	}
	if st.Mode&unix.S_IFMT != unix.S_IFREG {
		return fail("read", errNoFile)
	}
	data := make([]byte, min(st.Size, int64(limit)))
	n := 0
	for n < len(data) {
		more, err := unix.Read(fd, data[n:])
		if err != nil {
			return fail("read", err)
		}
		if more == 0 {
			break // somebody has cut the file short meanwhile
		}
		n += more
	}
	return string(data[:n]), nil
}
