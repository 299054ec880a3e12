package attack_test

import (
	"debug/elf"
	"os"
	"path/filepath"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = row("T25", "a program or library that somebody put into the way is run as root", func(r *Row) {
	// lured says whether anything was run from the folder that comes first in PATH.
	lured := func(s *Stage, run func()) bool {
		GinkgoHelper()
		dir, log := filepath.Join(s.Dir, "evil"), filepath.Join(s.Dir, "log")
		Expect(os.Mkdir(dir, 0o755)).To(Succeed())
		for _, name := range []string{"nft", "ip", "iptables", "ip6tables", "iptables-save", "iptables-restore", "ip6tables-restore", "xtables-nft-multi", "sysctl", "modprobe", "conntrack", "bridge", "host-local", "sh"} {
			Expect(os.WriteFile(filepath.Join(dir, name), []byte("#!/bin/sh\necho $0 >>"+log+"\nexit 1\n"), 0o755)).To(Succeed())
		}
		s.Env = []string{"PATH=" + dir, "LD_PRELOAD=" + filepath.Join(dir, "evil.so"), "LD_LIBRARY_PATH=" + dir}
		run()
		_, err := os.Stat(log)
		return err == nil
	}
	s := reference()
	r.Works("the reference looks its programs up", func() bool { return lured(s, func() { s.Call(s.Container(), "ADD", both(s)) }) })
	s = ours()
	r.Fails("all verbs", func() bool {
		return lured(s, func() {
			c := Publishing(both(s).With(bound), Port("tcp", 8080, 80), Port("udp", 53, 53))
			b := s.Container()
			result := s.Add(b, c)
			ExpectOK("CHECK", s.Check(b, c, result))
			ExpectOK("STATUS", s.Status(c))
			s.Del(b, c, result)
			s.GC(c)
		})
	})
	for _, name := range []string{"bridge", "portmap", "host-local"} {
		r.Fails(name+" loads libraries", func() bool {
			f, err := elf.Open(filepath.Join(Plugins(GinkgoT()), name))
			Expect(err).NotTo(HaveOccurred())
			defer f.Close()
			libraries, _ := f.ImportedLibraries() // an error says that there is no such table
			for _, p := range f.Progs {
				if p.Type == elf.PT_INTERP {
					return true
				}
			}
			return len(libraries) > 0
		})
	}
})

// confined makes a folder of plugins that run with some capabilities alone: what is
// not in the bounding set, not even root gets by execve (capabilities(7)).
func confined(s *Stage, capabilities string) {
	GinkgoHelper()
	dir := filepath.Join(s.Dir, "confined")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	for _, name := range []string{"bridge", "portmap"} {
		script := "#!/bin/sh\nexec setpriv --bounding-set=-all" + capabilities + " --inh-caps=-all " + filepath.Join(Plugins(GinkgoT()), name) + "\n"
		Expect(os.WriteFile(filepath.Join(dir, name), []byte(script), 0o755)).To(Succeed())
	}
	Expect(os.Link(filepath.Join(Plugins(GinkgoT()), "host-local"), filepath.Join(dir, "host-local"))).To(Or(Succeed(),
		WithTransform(func(error) error {
			return copyFile(filepath.Join(Plugins(GinkgoT()), "host-local"), filepath.Join(dir, "host-local"))
		}, Succeed())))
	s.Bin = dir
}

func copyFile(from, to string) error {
	data, err := os.ReadFile(from)
	if err != nil {
		return err
	}
	return os.WriteFile(to, data, 0o755)
}

var _ = Describe("privileges", func() {
	const both2 = ",+net_admin,+sys_admin"
	It("CAP_NET_ADMIN and CAP_SYS_ADMIN are enough for every verb and option", func() {
		s := ours()
		confined(s, both2)
		status := Program(s.Host, "", "setpriv", "--bounding-set=-all"+both2, "--inh-caps=-all", "grep", "CapEff", "/proc/self/status")
		Expect(strings.Fields(status)).To(Equal([]string{"CapEff:", "0000000000201000"}), "exactly these two")
		for _, program := range []string{"iptables", "ip6tables"} { // their tables stay once they were used
			Program(s.Host, "", program, "-t", "nat", "-A", "POSTROUTING", "-j", "ACCEPT")
			Program(s.Host, "", program, "-t", "nat", "-D", "POSTROUTING", "-j", "ACCEPT")
		}
		virgin := s.Settled()
		for _, change := range []Conf{
			{},
			{"macspoofchk": true},
			bound,
			{"isolateFromLan": true, "maxConnections": 100},
			{"hairpinMode": true, "portIsolation": true, "mtu": 1400},
			{"ipMasqBackend": "iptables"},
			{"enabledad": true},
		} {
			c := Publishing(both(s).With(change), Port("tcp", 8080, 80))
			b := s.Container()
			result := s.Add(b, c)
			ExpectPing(b.Space, GatewayV4, OutsideV4)
			ExpectOK("CHECK", s.Check(b, c, result))
			ExpectOK("STATUS", s.Status(c))
			s.Del(b, c, result)
			ExpectOK("DEL", s.Call(b, "DEL", c))
			s.GC(c)
			s.ExpectEqual(virgin)
		}
		v := publish(s, both(s), Portmap(), Port("udp", 53, 53))
		Expect(v.v4.IsValid()).To(BeTrue())
	})

	for _, missing := range []string{"+net_admin", "+sys_admin"} {
		It("only "+missing+" is not, and the error leaves nothing", func() {
			s := ours()
			confined(s, ","+missing)
			before := s.Settled()
			answer := s.Call(s.Container(), "ADD", both(s))
			Expect(answer.Exit).NotTo(BeZero())
			Expect(string(answer.Stdout)).To(ContainSubstring("operation not permitted"))
			s.ExpectEqual(before)
		})
	}
})
