package node

import (
	"cmp"
	"encoding/hex"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/bridgeport-cni/bridgeport/pkg/hostport"
)

// Socket is a socket of the node that waits for clients.
type Socket struct {
	Protocol string // "tcp" or "udp"
	Addr     netip.AddrPort
	Inode    uint64
	holders  func() map[uint64]string // of all sockets; the sockets of one list read it once
}

// PortKey is number and protocol: "8080/tcp".
func PortKey(protocol string, port uint16) string {
	return hostport.Text(protocol, netip.Addr{}, port)
}

// Key is the socket's protocol and port.
func (s Socket) Key() string { return PortKey(s.Protocol, s.Addr.Port()) }

// Takes says whether the socket gets what is sent to the address.
func (s Socket) Takes(protocol string, to netip.AddrPort) bool {
	return s.Key() == PortKey(protocol, to.Port()) && (s.Addr.Addr().IsUnspecified() || s.Addr.Addr() == to.Addr())
}

// Listeners lists the sockets of the calling thread's namespace.
func Listeners() (list []Socket) {
	once := sync.OnceValue(holders)
	for _, file := range []string{"tcp", "tcp6", "udp", "udp6"} {
		waiting := map[string]string{"tcp": "0A", "udp": "07"}[file[:3]] // TCP_LISTEN, TCP_CLOSE
		data, _ := os.ReadFile("/proc/thread-self/net/" + file)          // none without the protocol
		for line := range strings.Lines(string(data)) {
			fields := strings.Fields(line)
			if len(fields) < 10 || fields[3] != waiting {
				continue
			}
			addr, ok := hexAddr(fields[1])
			inode, err := strconv.ParseUint(fields[9], 10, 64)
			if ok && err == nil {
				list = append(list, Socket{Protocol: file[:3], Addr: addr, Inode: inode, holders: once})
			}
		}
	}
	return list
}

// hexAddr reads "0100007F:1F90": words of the host's byte order (tcp4_seq_show).
func hexAddr(text string) (netip.AddrPort, bool) {
	host, port, _ := strings.Cut(text, ":")
	raw, err := hex.DecodeString(host)
	number, perr := strconv.ParseUint(port, 16, 16)
	if err != nil || perr != nil {
		return netip.AddrPort{}, false
	}
	for word := range slices.Chunk(raw, 4) {
		slices.Reverse(word) // little endian, as all our machines are
	}
	addr, ok := netip.AddrFromSlice(raw)
	return netip.AddrPortFrom(addr.Unmap(), uint16(number)), ok
}

// ProcessOf is who has the socket open; "a process" where nobody can be found.
func (s Socket) ProcessOf() string { return cmp.Or(s.holders()[s.Inode], "a process") }

// holders finds the first process of each socket.
func holders() map[uint64]string {
	found := make(map[uint64]string)
	fds, _ := filepath.Glob("/proc/[0-9]*/fd/*") // the pattern is right
	for _, fd := range fds {
		target, _ := os.Readlink(fd) // "" where it is gone meanwhile
		var inode uint64
		if _, err := fmt.Sscanf(target, "socket:[%d]", &inode); err == nil && found[inode] == "" {
			pid := strings.Split(fd, "/")[2]
			name, _ := os.ReadFile("/proc/" + pid + "/comm") // gone meanwhile: no name
			found[inode] = strings.TrimSpace(string(name)) + "[" + pid + "]"
		}
	}
	return found
}
