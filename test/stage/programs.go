package stage

import (
	"bytes"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"time"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Program runs an installed program in the space and returns what it printed. One
// that fails fails the test.
func Program(s *Space, stdin, name string, args ...string) string {
	s.t.Helper()
	out, err := Try(s, stdin, name, args...)
	if err != nil {
		s.t.Fatal(fmt.Sprintf("%s %q: %v", name, args, err))
	}
	return out
}

// Try is Program for one that may fail.
func Try(s *Space, stdin, name string, args ...string) (string, error) {
	cmd := exec.Command(name, args...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewBufferString(stdin), &out, &errs
	if err := s.Do(cmd.Run); err != nil {
		return "", fmt.Errorf("%w: %s", err, errs.String())
	}
	return out.String(), nil
}

// Strace runs one call under strace with more options, and returns what strace wrote and
// what the plugin printed. The call is to work.
func (s *Stage) Strace(c Call, options ...string) (trace string, stdout []byte) {
	s.Helper()
	strace, err := exec.LookPath("strace")
	if err != nil {
		s.Fatal("strace is needed: apt-get install strace: ", err)
	}
	log := filepath.Join(s.Dir, "strace")
	cmd := exec.Command(strace, append(append([]string{"-f", "-o", log}, options...), filepath.Join(s.Bin, c.Plugin))...)
	var out, errs bytes.Buffer
	cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Config), &out, &errs
	cmd.Env = c.Environ(s.Bin)
	if err := s.Host.Do(cmd.Run); err != nil {
		s.Fatal(fmt.Sprintf("%s %s: %v: %s%s", c.Plugin, c.Command, err, out.Bytes(), errs.Bytes()))
	}
	return Read(s.T, log), out.Bytes()
}

// PacketSocket sees and sends whole frames of a link. The kernel takes the VLAN tag out of
// a frame and tells it beside (packet(7)). A read waits 20 ms at most.
func PacketSocket(s *Space, link string) (fd int) {
	s.t.Helper()
	all := uint16(unix.ETH_P_ALL<<8&0xff00 | unix.ETH_P_ALL>>8) // in the network's order
	tick := unix.NsecToTimeval(int64(20 * time.Millisecond))
	Change(s, link, func(l netlink.Link) (err error) {
		fd, err = unix.Socket(unix.AF_PACKET, unix.SOCK_RAW|unix.SOCK_CLOEXEC, int(all))
		if err != nil {
			return err
		}
		s.t.Cleanup(func() { _ = unix.Close(fd) })
		return errors.Join(
			unix.Bind(fd, &unix.SockaddrLinklayer{Protocol: all, Ifindex: l.Attrs().Index}),
			unix.SetsockoptInt(fd, unix.SOL_PACKET, unix.PACKET_AUXDATA, 1),
			unix.SetsockoptTimeval(fd, unix.SOL_SOCKET, unix.SO_RCVTIMEO, &tick),
		)
	})
	return fd
}

// HasVlans tells whether the kernel has bridges that tell VLANs apart.
func (s *Stage) HasVlans() bool {
	s.Helper()
	on := true
	probe := &netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "probe0"}, VlanFiltering: &on}
	err := s.Space("probe").Do(func() error { return netlink.LinkAdd(probe) })
	if !errors.Is(err, unix.EOPNOTSUPP) {
		s.Must(err)
	}
	return err == nil
}

// NeedVlans skips the test without them.
func (s *Stage) NeedVlans() {
	s.Helper()
	if !s.HasVlans() {
		Missing(s.T, "bridge VLAN filtering")
	}
}

// Reload saves the space's rules without counters, and loads them again. It returns what was saved.
func Reload(s *Space) string {
	s.t.Helper()
	saved := Program(s, "", "nft", "-s", "list", "ruleset")
	Program(s, "flush ruleset\n"+saved, "nft", "-f", "-")
	return saved
}

// UseInodes makes a folder, and files in it until the file system has no room for another.
func UseInodes(dir string) error {
	err := os.Mkdir(dir, 0o700)
	for i := 0; err == nil; i++ {
		err = os.WriteFile(filepath.Join(dir, fmt.Sprint(i)), nil, 0o600)
	}
	if !errors.Is(err, unix.ENOSPC) {
		return fmt.Errorf("there are inodes left: %w", err)
	}
	return nil
}
