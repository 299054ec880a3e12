package attack_test

import (
	"errors"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// precious is a file that no plugin may change.
func precious(s *Stage) (path string, changed func() bool) {
	GinkgoHelper()
	path = filepath.Join(s.Dir, "precious")
	Expect(os.WriteFile(path, []byte("precious"), 0o644)).To(Succeed())
	return path, func() bool {
		data, err := os.ReadFile(path)
		st, serr := os.Stat(path)
		return errors.Join(err, serr) != nil || string(data) != "precious" || st.Mode().Perm() != 0o644
	}
}

var _ = row("T13", "names and links in the lease directory lead to other files", func(r *Row) {
	planted := func(s *Stage) bool {
		GinkgoHelper()
		path, changed := precious(s)
		dir := filepath.Join(s.Data(), NetworkName)
		Expect(os.MkdirAll(dir, 0o755)).To(Succeed())
		for _, name := range []string{"last_reserved_ip.0", "last_reserved_ip.1"} {
			Expect(os.Symlink(path, filepath.Join(dir, name))).To(Succeed())
		}
		s.Call(s.Container(), "ADD", both(s))
		return changed()
	}
	r.Works("the reference: a planted link", func() bool { return planted(reference()) })
	r.Fails("a planted link", func() bool { return planted(ours()) })

	s := ours()
	path, changed := precious(s)
	dir := filepath.Join(s.Data(), NetworkName)
	for _, name := range []string{"lock", FirstV4, "last_reserved_ip.0", "../.bridgeport/" + NetworkName + "/.lease", "../.bridgeport/" + NetworkName + "/freed"} {
		at := filepath.Join(dir, name)
		Expect(errors.Join(os.RemoveAll(at), os.MkdirAll(filepath.Dir(at), 0o755), os.MkdirAll(dir, 0o755), os.Symlink(path, at))).To(Succeed())
		r.Fails("a link at "+name, func() bool {
			b := s.Container()
			s.Call(b, "ADD", both(s))
			s.Call(b, "DEL", both(s))
			return changed()
		})
		Expect(os.RemoveAll(at)).To(Succeed())
	}

	// Everybody may write to the directory: a race that links would win.
	s = ours()
	path, changed = precious(s)
	dir = filepath.Join(s.Data(), NetworkName)
	Expect(errors.Join(os.MkdirAll(dir, 0o755), os.Chmod(s.Data(), 0o777))).To(Succeed())
	stop := make(chan struct{})
	go swap(stop, dir, filepath.Join(s.Dir, "elsewhere"), path)
	r.Fails("a directory that is swapped for a link, again and again", func() bool {
		for range 40 {
			ExpectError(s.Call(s.Container(), "ADD", both(s)), 5, "everybody may write")
		}
		return changed()
	})
	close(stop)

	s = ours()
	before := s.Settled()
	for _, name := range []string{"..", ".", "../lan", "a/b", "/etc", "a\x00b", strings.Repeat("n", 4096), ".bridgeport"} {
		for _, c := range []Call{
			{ContainerID: "c1", IfName: "eth0", Config: both(s).With(Conf{"name": name}).Stdin()},
			{ContainerID: name, IfName: "eth0", Config: both(s).Stdin()},
			{ContainerID: "c1", IfName: name, Config: both(s).Stdin()},
		} {
			if strings.Contains(c.ContainerID+c.IfName, "\x00") || strings.HasPrefix(name, "nnn") && c.IfName == "eth0" || c.IfName == ".bridgeport" {
				continue // no environment holds a zero byte; names may be long; links may begin with a dot
			}
			c.Plugin, c.Command, c.Netns = "bridge", "ADD", s.Container().Path
			r.Fails(fmt.Sprintf("%.20q as a name", name), func() bool { return s.Run(c).Exit == 0 })
		}
	}
	s.ExpectEqual(before)
})

// swap makes the directory a link to another one that holds links to a file, and a
// directory again.
func swap(stop chan struct{}, dir, other, path string) {
	_ = os.MkdirAll(other, 0o777)
	for _, name := range []string{"lock", "last_reserved_ip.0", FirstV4} {
		_ = os.Symlink(path, filepath.Join(other, name))
	}
	for {
		select {
		case <-stop:
			return
		default:
		}
		_ = os.Rename(dir, dir+".real")
		_ = os.Symlink(other, dir)
		time.Sleep(time.Millisecond)
		_ = os.Remove(dir)
		_ = os.Rename(dir+".real", dir)
	}
}

var _ = row("T14", "what lies in the lease directory stops or misleads the plugins", func(r *Row) {
	// hangs says whether DEL of a container is still running after a while.
	hangs := func(s *Stage) bool {
		GinkgoHelper()
		v := enter(s, both(s))
		Expect(unix.Mkfifo(s.Lease("10.60.0.200"), 0o600)).To(Succeed())
		_, err := s.Host.CNI(s.Bin, Call{
			Plugin: "bridge", Command: "DEL", ContainerID: v.ID, Netns: v.Path, IfName: "eth0",
			Config: both(s).Stdin(), Timeout: Patience,
		})
		return err != nil
	}
	r.Works("the reference: a FIFO", func() bool { return hangs(reference()) })
	r.Fails("a FIFO", func() bool { return hangs(ours()) })

	s := ours()
	v := enter(s, both(s))
	for at, plant := range map[string]func(path string) error{
		"10.60.0.10": func(p string) error { return os.WriteFile(p, nil, 0o600) },
		"10.60.0.11": func(p string) error { return os.WriteFile(p, []byte("\x00\xff\r\n\r\n\r\n"), 0o600) },
		"10.60.0.12": func(p string) error { return errors.Join(os.WriteFile(p, nil, 0o600), os.Truncate(p, 1<<30)) },
		"10.60.0.13": func(p string) error { return os.Mkdir(p, 0o755) },
		"10.60.0.14": func(p string) error { return os.Symlink("/dev/zero", p) },
		"10.60.0.15": func(p string) error { return os.WriteFile(p, []byte(v.ID+"\r\neth1\r\neth0"), 0o600) },
		"fd60::14":   func(p string) error { return os.Symlink(p, p) },
	} {
		Expect(plant(s.Lease(at))).To(Succeed())
	}
	r.Fails("rubbish of all kinds", func() bool {
		for range 3 {
			b := s.Container()
			result := s.Add(b, both(s))
			ExpectOK("CHECK", s.Check(b, both(s), result))
			ExpectOK("DEL", s.Call(b, "DEL", both(s)))
		}
		ExpectOK("STATUS", s.Status(both(s)))
		ExpectOK("DEL", s.Call(v.Box, "DEL", both(s)))
		_, err := os.Lstat(s.Lease(v.v4.String()))
		return err == nil
	})
	r.Fails("a lease of a gigabyte is not read", func() bool { return lavish(s, "bridge", both(s).Stdin()) })
	s.GC(both(s))
	for _, a := range []string{"10.60.0.10", "10.60.0.12"} {
		_, err := os.Lstat(s.Lease(netip.MustParseAddr(a).String()))
		Expect(err).To(MatchError(os.ErrNotExist), "GC collects what is no lease")
	}
})
