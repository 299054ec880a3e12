package lab

import (
	"os"
	"path/filepath"
	"strings"
)

// procSys shows, below net, the settings of the reading thread's namespace.
const procSys = "/proc/sys"

// Sysctl reads a setting of the space, named as in "net/ipv4/ip_forward".
func (s *Space) Sysctl(key string) (string, error) {
	var value []byte
	err := s.Do(func() (err error) {
		value, err = os.ReadFile(filepath.Join(procSys, key))
		return err
	})
	return strings.TrimSpace(string(value)), s.errorf(err, "read sysctl")
}

// SetSysctl writes a setting of the space.
func (s *Space) SetSysctl(key, value string) error {
	err := s.Do(func() error {
		return os.WriteFile(filepath.Join(procSys, key), []byte(value), 0o644)
	})
	return s.errorf(err, "write sysctl")
}
