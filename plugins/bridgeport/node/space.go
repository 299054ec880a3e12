package node

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/netns"
	"github.com/vishvananda/netlink"
)

// Space is a network namespace other than the node's.
type Space struct {
	Path string
	ID   int // the number by which the node's links know it; -1 if none does
}

// spaces finds namespaces where they are mounted and through processes. One that only
// a file descriptor keeps alive is not found.
func spaces() []Space {
	self, err := netns.Current()
	if err != nil {
		return nil
	}
	defer self.Close()
	seen := map[uint64]bool{self.Ino(): true}
	var list []Space
	for _, pattern := range []string{"/run/netns/*", "/var/run/netns/*", "/run/docker/netns/*", "/proc/[0-9]*/ns/net"} {
		found, _ := filepath.Glob(pattern) // the patterns are right
		for _, path := range found {
			if s, ok := space(path, seen); ok {
				list = append(list, s)
			}
		}
	}
	return list
}

func space(path string, seen map[uint64]bool) (Space, bool) {
	var ino uint64
	// A link of /proc tells the number without being opened.
	if target, err := os.Readlink(path); err == nil {
		if _, err := fmt.Sscanf(target, "net:[%d]", &ino); err == nil && seen[ino] {
			return Space{}, false
		}
	}
	ns, err := netns.Open(path)
	if err != nil {
		return Space{}, false // gone meanwhile, or no namespace
	}
	defer ns.Close()
	if seen[ns.Ino()] {
		return Space{}, false
	}
	seen[ns.Ino()] = true
	id, err := netlink.GetNetNsIdByFd(ns.Fd())
	if err != nil {
		id = -1
	}
	return Space{Path: path, ID: id}, true
}

// SpaceOf is where a veth's other end is; nil if it could not be found.
func (n *Node) SpaceOf(l *Link) *Space {
	if l == nil || l.Kind != "veth" || l.PeerSpace < 0 {
		return nil
	}
	return find(n.Spaces, func(s *Space) bool { return s.ID == l.PeerSpace })
}

// ErrGone says that a namespace does not exist any more.
var ErrGone = errors.New("the namespace is gone")

// Enter reads links and routes inside the namespace at path; ErrGone where there is none. The one that
// this command runs in is an error, too: no container of this node is there. It is gone
// where the path is a process's, whose number another has by now.
func Enter(path string) (*Node, error) {
	ns, err := netns.Open(path)
	if errors.Is(err, netns.ErrNotExist) || errors.Is(err, netns.ErrNotNetns) {
		return nil, fmt.Errorf("%s: %w", path, ErrGone)
	}
	if err != nil {
		return nil, err
	}
	defer ns.Close()
	self, err := netns.Current()
	if err != nil {
		return nil, err
	}
	defer self.Close()
	if self.Ino() == ns.Ino() {
		if strings.HasPrefix(path, "/proc/") {
			return nil, fmt.Errorf("%s: is the node's own namespace: %w", path, ErrGone)
		}
		return nil, fmt.Errorf("%s: is where this command runs: run it in the node's own network namespace", path)
	}
	in := &Node{}
	err = ns.Do(func() (err error) {
		if in.Links, err = links(); err == nil {
			in.Routes, err = routes()
		}
		return err
	})
	return in, err
}
