package packets_test

import (
	"errors"
	"fmt"
	"net"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// A service of Kubernetes, whose one endpoint is the first container, and a nodePort.
const (
	serviceV4, serviceV6 = "10.96.0.10", "fd96::10"
	servicePort          = "80"
	nodePort             = 30080
)

// kubeProxy is the rules of kube-proxy in one of its modes, in the order in which it
// writes them: chains first, and then the jumps to the head of the hooks' chains.
type kubeProxy struct {
	mode  string
	write func(*Stage)
}

// chainsOfKubeProxy is what mode iptables hands to iptables-restore.
func chainsOfKubeProxy(service, endpoint, containers string, bits int) string {
	return fmt.Sprintf(`*nat
:KUBE-SERVICES - [0:0]
:KUBE-NODEPORTS - [0:0]
:KUBE-POSTROUTING - [0:0]
:KUBE-MARK-MASQ - [0:0]
:KUBE-EXT-4CRUJHTV5RT5YMFY - [0:0]
:KUBE-SVC-4CRUJHTV5RT5YMFY - [0:0]
:KUBE-SEP-UKSFD7AGPMPPLUHC - [0:0]
-A KUBE-SERVICES -m comment --comment "default/web:http cluster IP" -m tcp -p tcp -d %[1]s/%[4]d --dport 80 -j KUBE-SVC-4CRUJHTV5RT5YMFY
-A KUBE-SERVICES -m comment --comment "kubernetes service nodeports; NOTE: this must be the last rule in this chain" -m addrtype --dst-type LOCAL -j KUBE-NODEPORTS
-A KUBE-NODEPORTS -m comment --comment default/web:http -m tcp -p tcp --dport %[5]d -j KUBE-EXT-4CRUJHTV5RT5YMFY
-A KUBE-EXT-4CRUJHTV5RT5YMFY -m comment --comment "masquerade traffic for default/web:http external destinations" -j KUBE-MARK-MASQ
-A KUBE-EXT-4CRUJHTV5RT5YMFY -j KUBE-SVC-4CRUJHTV5RT5YMFY
-A KUBE-SVC-4CRUJHTV5RT5YMFY -m comment --comment "default/web:http cluster IP" -m tcp -p tcp -d %[1]s/%[4]d --dport 80 ! -s %[3]s -j KUBE-MARK-MASQ
-A KUBE-SVC-4CRUJHTV5RT5YMFY -m comment --comment "default/web:http -> %[2]s" -j KUBE-SEP-UKSFD7AGPMPPLUHC
-A KUBE-SEP-UKSFD7AGPMPPLUHC -m comment --comment default/web:http -s %[2]s/%[4]d -j KUBE-MARK-MASQ
-A KUBE-SEP-UKSFD7AGPMPPLUHC -m comment --comment default/web:http -m tcp -p tcp -j DNAT --to-destination %[6]s
-A KUBE-POSTROUTING -m mark ! --mark 0x00004000/0x00004000 -j RETURN
-A KUBE-POSTROUTING -j MARK --xor-mark 0x00004000
-A KUBE-POSTROUTING -m comment --comment "kubernetes service traffic requiring SNAT" -j MASQUERADE
-A KUBE-MARK-MASQ -j MARK --or-mark 0x00004000
COMMIT
`, service, endpoint, containers, bits, nodePort, net.JoinHostPort(endpoint, "80"))
}

func byIPTables(variant string) kubeProxy {
	return kubeProxy{"iptables over " + variant, func(s *Stage) {
		x := NewXtables(s, variant)
		v4 := chainsOfKubeProxy(serviceV4, FirstV4, SubnetV4, 32)
		v6 := chainsOfKubeProxy(serviceV6, FirstV6, SubnetV6, 128)
		Program(s.Host, v4, x.Path("iptables-restore"), "--noflush")
		Program(s.Host, v6, x.Path("ip6tables-restore"), "--noflush")
		x.Both(s.Host, "-t nat -I POSTROUTING -m comment --comment kubernetes-postrouting-rules -j KUBE-POSTROUTING")
		x.Both(s.Host, "-t nat -I OUTPUT -m comment --comment kubernetes-service-portals -j KUBE-SERVICES")
		x.Both(s.Host, "-t nat -I PREROUTING -m comment --comment kubernetes-service-portals -j KUBE-SERVICES")
	}}
}

// byNFTables is mode nftables: a table of kube-proxy's own for each family.
var byNFTables = kubeProxy{"nftables", func(s *Stage) {
	for family, a := range map[string][3]string{"ip": {serviceV4, FirstV4, SubnetV4}, "ip6": {serviceV6, FirstV6, SubnetV6}} {
		to := net.JoinHostPort(a[1], "80")
		Program(s.Host, strings.NewReplacer("FAMILY", family, "IPADDR", map[string]string{"ip": "ipv4_addr", "ip6": "ipv6_addr"}[family], "SERVICE", a[0], "ENDPOINT", a[1], "CONTAINERS", a[2], "TARGET", to).Replace(`
table FAMILY kube-proxy {
	chain mark-for-masquerade { mark set mark or 0x4000; }
	chain masquerading {
		mark and 0x4000 == 0 return
		mark set mark xor 0x4000
		masquerade
	}
	chain endpoint-web {
		FAMILY saddr ENDPOINT jump mark-for-masquerade
		meta l4proto tcp dnat to TARGET
	}
	chain service-web {
		FAMILY daddr SERVICE tcp dport 80 FAMILY saddr != CONTAINERS jump mark-for-masquerade
		goto endpoint-web
	}
	chain external-web {
		jump mark-for-masquerade
		goto service-web
	}
	map service-ips {
		type IPADDR . inet_proto . inet_service : verdict
		elements = { SERVICE . tcp . 80 : goto service-web }
	}
	map service-nodeports {
		type inet_proto . inet_service : verdict
		elements = { tcp . 30080 : goto external-web }
	}
	chain services {
		FAMILY daddr . meta l4proto . th dport vmap @service-ips
		fib daddr type local meta l4proto . th dport vmap @service-nodeports
	}
	chain nat-prerouting { type nat hook prerouting priority dstnat; jump services; }
	chain nat-output { type nat hook output priority -100; jump services; }
	chain nat-postrouting { type nat hook postrouting priority srcnat; jump masquerading; }
}`), "nft", "-f", "-")
	}
}}

// orders says who wrote rules first.
var orders = []string{"before us", "after us"}

var _ = Describe("beside kube-proxy", func() {
	for _, b := range backends {
		modes := []kubeProxy{byIPTables("nft"), byIPTables("legacy"), byNFTables}
		if b.xtables != "" { // a node has one iptables
			modes = []kubeProxy{byIPTables(b.xtables), byNFTables}
		}
		for _, mode := range modes {
			for _, order := range orders {
				It(fmt.Sprintf("in mode %s, which wrote its rules %s, service address, nodePort and hostPort work by %s", mode.mode, order, b), func() {
					besideKubeProxy(b, mode, order)
				})
			}
		}
	}
})

// served wants the server to be the one that answers.
func served(by *Server, from *Space, address, port string, as ...string) {
	GinkgoHelper()
	before := by.Asked()
	ExpectSeen(from, "tcp", address, port, as...)
	Expect(by.Asked()).To(Equal(before+1), "another server answered at %s", net.JoinHostPort(address, port))
}

func besideKubeProxy(b backend, mode kubeProxy, order string) {
	s := NewStage(GinkgoT())
	if b.xtables != "" {
		NewXtables(s, b.xtables)
	}
	// Without any route to it, the host could not even begin to ask a service.
	Expect(s.Host.Route("default", OutsideV4)).To(Succeed())
	Expect(s.Host.Route("default6", OutsideV6)).To(Succeed())
	lan := s.Bridge(SubnetV4, SubnetV6).With(Conf{"hairpinMode": true, "ipMasqBackend": b.name})
	endpoint, _ := s.Attach(lan)
	client, _ := s.Attach(lan)
	if order == orders[0] {
		mode.write(s)
	}
	published, result := s.Attach(lan)
	ports := []map[string]any{Port("tcp", hostPort, 80)}
	// Chains of one priority take turns by age: there, who wrote first would decide.
	if b.name == "nftables" || mode.mode != byNFTables.mode {
		ports = append(ports, Port("tcp", nodePort, 80))
	}
	c := Chained(b.name, result, ports...)
	ExpectOK("ADD", s.Call(published, "ADD", c))
	if order == orders[1] {
		mode.write(s)
	}
	ExpectOK("CHECK", s.Call(published, "CHECK", c))

	for _, f := range []struct{ service, host, loopback, outside, any, own, client string }{
		{serviceV4, HostV4, "127.0.0.1", OutsideV4, "0.0.0.0:80", "10.60.0.4", SecondV4},
		{serviceV6, HostV6, "::1", OutsideV6, "[::]:80", "fd60::4", SecondV6},
	} {
		service := serveOn(endpoint.Space, "tcp", f.any)
		port := serveOn(published.Space, "tcp", f.any)

		By("the service's address, from the host, a container, and the endpoint itself")
		served(service, client.Space, f.service, servicePort, f.client)
		served(service, s.Host, f.service, servicePort)
		served(service, endpoint.Space, f.service, servicePort)
		served(service, published.Space, f.service, servicePort, f.own)

		By("the nodePort, from everywhere, also where a container has a hostPort of that number")
		for _, from := range []*Space{s.Outside, s.Host, client.Space} {
			served(service, from, f.host, fmt.Sprint(nodePort))
		}

		By("the hostPort, from everywhere; the container sees the outside's address")
		served(port, s.Outside, f.host, fmt.Sprint(hostPort), f.outside)
		served(port, s.Host, f.host, fmt.Sprint(hostPort))
		served(port, client.Space, f.host, fmt.Sprint(hostPort))
		served(port, published.Space, f.host, fmt.Sprint(hostPort))
		if f.loopback == "127.0.0.1" || b.name == "nftables" {
			served(port, s.Host, f.loopback, fmt.Sprint(hostPort))
		}
	}
	ExpectOK("DEL", s.Call(published, "DEL", c))
	ExpectRefused(s.Outside, "tcp", HostV4, fmt.Sprint(hostPort))
}

// serveOn answers until the spec ends.
func serveOn(s *Space, protocol, addr string) *Server {
	GinkgoHelper()
	server, err := s.Serve(protocol, addr)
	Expect(err).NotTo(HaveOccurred())
	DeferCleanup(func() {
		if err := server.Close(); !errors.Is(err, net.ErrClosed) { // the spec may have done it
			Expect(err).NotTo(HaveOccurred())
		}
	})
	return server
}
