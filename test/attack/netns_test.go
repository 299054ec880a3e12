package attack_test

import (
	"os"
	"path/filepath"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// intruded says whether a space got the container's link.
func intruded(s *Space) bool { return HasLink(s, "eth0") }

var _ = row("T15", "CNI_NETNS leads to another namespace than the container's", func(r *Row) {
	add := func(s *Stage, path string) Answer {
		GinkgoHelper()
		b := s.Container()
		return s.Run(Call{
			Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: path, IfName: "eth0",
			Config: s.Bridge(SubnetV4).Stdin(), Timeout: 2 * Patience,
		})
	}
	// This one's process 1: the machine, as far as plugins in here know.
	machine := Opened(GinkgoT(), "/proc/1/ns/net")
	s := reference()
	r.Works("the reference: /proc/1/ns/net", func() bool { add(s, machine.Path); return intruded(machine) })
	Change(machine, "eth0", netlink.LinkDel)

	s = ours()
	fifo, link, file := filepath.Join(s.Dir, "fifo"), filepath.Join(s.Dir, "link"), filepath.Join(s.Dir, "file")
	Expect(unix.Mkfifo(fifo, 0o600)).To(Succeed())
	Expect(os.Symlink(s.Host.Path, link)).To(Succeed())
	Expect(os.WriteFile(file, nil, 0o600)).To(Succeed())
	before := s.Settled()
	for _, path := range []string{
		"/proc/1/ns/net", s.Host.Path, link, "/proc/self/ns/net", "/proc/thread-self/ns/net", fifo, file, s.Dir,
		"/proc/self/ns/mnt", "/proc/self/ns/user", "/dev/null", "/dev/zero", "/proc/self/fd/0", "/none", "relative",
	} {
		r.Fails(path, func() bool { return add(s, path).Exit == 0 || intruded(machine) || intruded(s.Host) })
	}
	s.ExpectEqual(before)

	// The path is swapped between the container's namespace and the host's.
	b := s.Container()
	path, stop, done := filepath.Join(s.Dir, "netns"), make(chan struct{}), make(chan struct{})
	go func() {
		defer close(done)
		for i := 0; ; i++ {
			select {
			case <-stop:
				return
			default:
			}
			_ = os.Symlink([]string{b.Path, s.Host.Path, machine.Path}[i%3], path+".new")
			_ = os.Rename(path+".new", path)
			time.Sleep(100 * time.Microsecond)
		}
	}()
	r.Fails("a path that is swapped all the time", func() bool {
		good, bad := 0, 0
		for range 60 {
			c := Call{Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: path, IfName: "eth0", Config: s.Bridge(SubnetV4).Stdin()}
			if s.Run(c).Exit == 0 {
				good++
				Expect(HasLink(b.Space, "eth0")).To(BeTrue(), "it says success")
			} else {
				bad++
			}
			if intruded(machine) || intruded(s.Host) {
				return true
			}
			c.Command = "DEL"
			ExpectOK("DEL", s.Run(c))
		}
		Expect(good).To(BeNumerically(">", 0), "the race was no race: it always had the host's")
		Expect(bad).To(BeNumerically(">", 0), "the race was no race: it always had the container's")
		return false
	})
	close(stop)
	<-done
})

var _ = row("T16", "CNI_IFNAME names a link that is there, or a pattern", func(r *Row) {
	s := ours()
	pattern := s.Space("pattern")
	r.Works("the kernel takes x%d for a pattern", func() bool {
		Inside(pattern, func() error {
			return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "x%d"}})
		})
		return HasLink(pattern, "x0")
	})
	v := enter(s, both(s))
	Inside(v.Space, func() error {
		return netlink.LinkAdd(&netlink.Bridge{LinkAttrs: netlink.LinkAttrs{Name: "taken"}})
	})
	before := s.Settled()
	for _, name := range []string{"lo", "eth0", "taken", "x%d", "%s", "sixteen-letters-", "../x", "a/b", "a b", "a:b", ".", "..", "a\tb", "a\nb", "\xa0"} {
		for _, command := range []string{"ADD", "DEL"} {
			b := &Box{Space: v.Space, ID: "another"}
			answer := s.CallAs(b, name, command, both(s))
			if command == "ADD" {
				r.Fails("ADD of "+name, func() bool { return answer.Exit == 0 })
			}
			for _, link := range []string{"lo", "eth0", "taken"} {
				Expect(HasLink(v.Space, link)).To(BeTrue(), "%s %q took %s away", command, name, link)
			}
		}
	}
	s.ExpectEqual(before)
	ExpectPing(v.Space, GatewayV4)
})
