package attack_test

import (
	"bytes"
	"fmt"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// foreign is a firewall as firewalld and ufw have it, loaded as they load it.
const foreign = `table inet firewalld
flush table inet firewalld
table inet firewalld {
	chain filter_FORWARD { type filter hook forward priority filter + 10; policy accept; ct state established,related accept; }
	chain nat_PREROUTING { type nat hook prerouting priority dstnat + 10; policy accept; }
}
table bridge firewalld
flush table bridge firewalld
table bridge firewalld {
	chain prerouting { type filter hook prerouting priority filter; policy accept; }
}
`

const legacy = "*filter\n:INPUT ACCEPT [0:0]\n:FORWARD ACCEPT [0:0]\n:OUTPUT ACCEPT [0:0]\nCOMMIT\n" +
	"*nat\n:PREROUTING ACCEPT [0:0]\n:POSTROUTING ACCEPT [0:0]\nCOMMIT\n*raw\n:PREROUTING ACCEPT [0:0]\nCOMMIT\n"

var _ = row("T22", "while the firewall is reloaded, what is forbidden gets through", func(r *Row) {
	s := ours()
	Expect(s.Host.SetSysctl("net/ipv4/conf/all/route_localnet", "1")).To(Succeed())
	c := both(s).With(bound).With(Conf{"isolateFromLan": true})
	a, v := enter(s, c), enter(s, c)
	jail := enter(s, both(s).With(nowhere))
	inJail, away := newTap(jail.Space, "eth0"), listen(s.Outside, "[::]:5300")
	victim := publish(s, both(s).With(Conf{"isolateFromLan": true}), Portmap(), Port("tcp", 8080, 80))
	Serve(victim.Space, "tcp", 80)
	Expect(s.Outside.Route(SubnetV4, HostV4)).To(Succeed())

	// The monitor: three senders of what is forbidden, three services that would hear it.
	secret, inside := listen(s.Host, "127.0.0.1:5300"), listen(victim.Space, "0.0.0.0:5300")
	ear := listen(v.Space, "0.0.0.0:5300")
	lan, bad := newTap(s.Outside, "eth0"), newTap(a.Space, "eth0")
	uplink, lanMAC := MAC(s.Host, "uplink"), MAC(s.Outside, "eth0")
	client := netip.MustParseAddrPort(OutsideV4 + ":4000")
	sent := 0
	forbid := func() {
		lan.send(ipFrame(uplink, lanMAC, datagram(client, netip.MustParseAddrPort("127.0.0.1:5300"), []byte("forbidden"))))
		lan.send(ipFrame(uplink, lanMAC, datagram(client, victim.at(5300), []byte("forbidden"))))
		bad.send(ipFrame(v.mac, a.mac, datagram(netip.AddrPortFrom(victim.v4, 4000), v.at(5300), []byte("forbidden"))))
		inJail.send(ipFrame(MAC(s.Host, BridgeName), jail.mac, datagram(jail.at(4000), netip.MustParseAddrPort(OutsideV4+":5300"), []byte("forbidden"))))
		inJail.send(ipFrame(v.mac, jail.mac, datagram(jail.at(4000), v.at(5300), []byte("forbidden"))))
		sent++
	}
	leaked := func() bool {
		for range 3 {
			forbid()
		}
		return secret.hears("forbidden") || inside.has("forbidden") || ear.has("forbidden") || away.has("forbidden")
	}
	stop, done := make(chan struct{}), make(chan struct{})
	go func() {
		defer GinkgoRecover()
		defer close(done)
		for {
			select {
			case <-stop:
				return
			default:
				forbid()
				time.Sleep(200 * time.Microsecond)
			}
		}
	}()
	script := filepath.Join(s.Dir, "foreign.nft")
	Expect(os.WriteFile(script, []byte(foreign), 0o600)).To(Succeed())
	const reloads = 100
	for i := range reloads {
		Program(s.Host, "", "nft", "-f", script)
		if i%10 == 0 { // slower, and every tenth time our own verbs among them
			Program(s.Host, legacy, "iptables-restore")
			Program(s.Host, legacy, "ip6tables-restore")
			Program(s.Host, "", "nft", "delete table inet firewalld")
			b := s.Container()
			result := s.Add(b, c)
			s.Del(b, c, result)
			s.GC(c, a.Box, v.Box, victim.Box, jail.Box)
		}
	}
	close(stop)
	<-done
	r.Fails(fmt.Sprintf("%d reloads, forbidden packets sent all the while", reloads), func() bool {
		Expect(sent).To(BeNumerically(">", reloads))
		return leaked()
	})
	Expect(asks(s.Outside, HostV4, "8080")).To(BeTrue(), "the published port still works")
	ExpectOK("CHECK", s.Check(v.Box, c, v.result))

	// Who flushes everybody's rules takes the protection along; CHECK says so, and the
	// next ADD brings back what is shared.
	Program(s.Host, "", "nft", "flush ruleset")
	r.Works("nft flush ruleset", leaked)
	ExpectError(s.Check(v.Box, c, v.result), Drift, "ipspoofchk", "guard", "restriction")
	ExpectError(s.Check(jail.Box, both(s).With(nowhere), jail.result), Drift, "egress")
	enter(s, c)
	r.Fails("the next ADD: a neighbour reaches 127.0.0.1", func() bool {
		text := mark()
		lan.send(ipFrame(uplink, lanMAC, datagram(client, netip.MustParseAddrPort("127.0.0.1:5300"), text)))
		return secret.hears(string(text))
	})
})

var _ = row("T23", "a setting that protects can't be written, and nobody notices", func(r *Row) {
	// blind runs ADD where /proc/sys is as the script makes it, and says whether that
	// succeeds although the host believes router advertisements.
	blind := func(s *Stage, c Conf, script string) (open bool, said string) {
		GinkgoHelper()
		b := s.Container()
		env := fmt.Sprintf("CNI_COMMAND=ADD CNI_CONTAINERID=%s CNI_NETNS=%s CNI_IFNAME=eth0 CNI_PATH=%s ", b.ID, b.Path, s.Bin)
		cmd := exec.Command("unshare", "--mount", "sh", "-c", script+" && exec env "+env+filepath.Join(s.Bin, "bridge"))
		var out bytes.Buffer
		cmd.Stdin, cmd.Stdout, cmd.Stderr = bytes.NewReader(c.Stdin()), &out, &out
		err := s.Host.Do(cmd.Run)
		accepts, serr := s.Host.Sysctl("net/ipv6/conf/" + BridgeName + "/accept_ra")
		return err == nil && serr == nil && accepts != "0", out.String()
	}
	const readOnly = "mount --bind /proc/sys /proc/sys && mount -o remount,ro,bind /proc/sys"
	layer2 := func(s *Stage) Conf { return s.Bridge().With(Conf{"ipam": Conf{}}) }
	s := reference()
	r.Works("the reference, /proc/sys read-only", func() bool { open, said := blind(s, layer2(s), readOnly); By(said); return open })
	for name, c := range map[string]func(*Stage) Conf{"layer 2": func(s *Stage) Conf { return s.Bridge() }, "IPv4 and IPv6": both} {
		s := ours()
		before := s.Settled()
		r.Fails("/proc/sys read-only, "+name, func() bool {
			open, said := blind(s, c(s), readOnly)
			Expect(said).To(And(ContainSubstring("sysctl"), ContainSubstring("read-only")))
			return open
		})
		s.GC(c(s)) // the bridge, which is shared, stays until then
		s.ExpectEqual(before)
	}

	// The bridge is there already, and what is written to its setting vanishes.
	s = ours()
	enter(s, both(s))
	Expect(s.Host.SetSysctl("net/ipv6/conf/"+BridgeName+"/accept_ra", "1")).To(Succeed())
	r.Fails("writes vanish", func() bool {
		open, said := blind(s, both(s), "mount --bind /dev/null /proc/sys/net/ipv6/conf/"+BridgeName+"/accept_ra")
		Expect(strings.ToLower(said)).To(And(ContainSubstring("accept_ra"), ContainSubstring("wrote 0")))
		return open
	})
})
