package features_test

import (
	"net"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// kube-proxy and administrators translate addresses, too, to containers that publish ports.
var _ = Describe("a client in the container's own subnet", func() {
	for _, family := range []struct{ name, service, host string }{
		{"ip", "10.96.0.1", HostV4}, {"ip6", "fd96::1", HostV6},
	} {
		It("keeps its address by a service, and not by a published port: "+family.name, func() {
			s := NewStage(GinkgoT())
			n := s.Network(List(s.Bridge(SubnetV4, SubnetV6), Portmap()))
			server, client := s.Container(), s.Container()
			result := server.Add(n, Port("udp", 5353, 53))
			own := client.Add(n)
			at := map[string]int{"ip": 0, "ip6": 1}[family.name]
			Program(s.Host, "table "+family.name+" services { chain pre { type nat hook prerouting priority dstnat; "+
				family.name+" daddr "+family.service+" udp dport 53 dnat to "+result.IPs[at].Address.IP.String()+"; }\n}\n", "nft", "-f", "-")
			var conn net.PacketConn
			Inside(server.Space, func() (err error) {
				conn, err = net.ListenPacket("udp", ":53")
				return err
			})
			DeferCleanup(conn.Close)
			seen := func(to string) string {
				GinkgoHelper()
				_, _ = client.Ask("udp", net.JoinHostPort(to, map[bool]string{true: "53", false: "5353"}[to == family.service]), 50*time.Millisecond)
				Expect(conn.SetReadDeadline(time.Now().Add(Patience))).To(Succeed())
				_, from, err := conn.ReadFrom(make([]byte, 100))
				Expect(err).NotTo(HaveOccurred())
				return from.(*net.UDPAddr).IP.String()
			}
			me, gateway := own.IPs[at].Address.IP.String(), own.IPs[at].Gateway.String()
			for range 2 { // the second time the host's address is known
				Expect(seen(family.service)).To(Equal(me))
				Expect(seen(family.host)).To(Equal(gateway))
			}
			Reload(s.Host)
			Expect(seen(family.service)).To(Equal(me))
			server.Check(n, Port("udp", 5353, 53))
		})
	}
})
