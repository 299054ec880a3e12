package attack_test

import (
	"bytes"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"time"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/google/nftables"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// hasTable says whether the space has a table of the name, in any family.
func hasTable(s *Space, name string) (yes bool) {
	GinkgoHelper()
	Rules(s, func(c *nftables.Conn) error {
		tables, err := c.ListTables()
		for _, t := range tables {
			yes = yes || t.Name == name
		}
		return err
	})
	return yes
}

var _ = row("T11", "text in a value becomes a command to the firewall", func(r *Row) {
	spoils := func(s *Stage, chain Conf, change map[string]any) bool {
		GinkgoHelper()
		p := Port("tcp", 8080, 80)
		for k, v := range change {
			p[k] = v
		}
		b := s.Container()
		ports := []map[string]any{p}
		_, err := s.Network(List(s.Bridge(SubnetV4), chain)).Add(b.ID, b.Path, "eth0", ports)
		By("answered: " + strings.TrimSpace(errorText(err)))
		ruined := hasTable(s.Host, "pwned")
		Rules(s.Host, func(c *nftables.Conn) error {
			chains, err := c.ListChains()
			for _, ch := range chains {
				ruined = ruined || ch.Name == "PWNED"
			}
			return err
		})
		return ruined
	}
	// What follows the condition goes to a chain of the attacker's: the kernel may refuse a
	// second jump of the reference's own, and with it the whole change.
	const lines = "ip saddr 192.0.2.1 drop\nadd table inet pwned\nadd chain inet pwned hostports_all\nadd chain inet pwned x\nadd rule inet pwned x ip saddr 192.0.2.1"
	s := reference()
	r.Works("the reference: a condition of several lines", func() bool {
		return spoils(s, Portmap().With(Conf{"backend": "nftables", "conditionsV4": []string{lines}}), nil)
	})
	const rules = "! -s 192.0.2.1 -j RETURN\n-N PWNED\n-A PREROUTING -s 192.0.2.1"
	for _, chain := range []Conf{
		{"conditionsV4": []string{lines}},
		{"conditionsV4": []string{lines}, "backend": "nftables"},
		{"conditionsV4": []string{rules}, "backend": "iptables"},
		{"conditionsV4": []string{"!", "-s", "192.0.2.1\n-N PWNED"}},
		{"externalSetMarkChain": "X\n-N PWNED", "backend": "iptables"},
	} {
		s := ours()
		text, _ := json.Marshal(chain)
		r.Fails(string(text), func() bool { return spoils(s, Portmap().With(chain), nil) })
	}
	for key, value := range map[string]any{
		"hostIP": "127.0.0.1\nadd table inet pwned", "protocol": "tcp dport 1 accept; add table inet pwned; #",
	} {
		s := ours()
		r.Fails(key, func() bool { return spoils(s, Portmap(), map[string]any{key: value}) })
	}
})

func errorText(err error) string {
	if err == nil {
		return "success"
	}
	return err.Error()
}

var _ = row("T12", "text in a name becomes a command when the ruleset is saved and loaded", func(r *Row) {
	const evil = "x\" }\n}\n}\ntable inet pwned {\nmap m {\ntype ipv4_addr : verdict\nelements = { 192.0.2.1 comment \"y"
	reload := func(s *Stage) bool {
		GinkgoHelper()
		saved := Program(s.Host, "", "nft", "list", "ruleset")
		_, err := Try(s.Host, saved, "nft", "--check", "-f", "-")
		By("loaded: " + errorText(err))
		fresh := s.Space("fresh")
		_, _ = Try(fresh, saved, "nft", "-f", "-")
		return hasTable(fresh, "pwned") || err != nil
	}
	s := ours()
	Rules(s.Host, func(c *nftables.Conn) error {
		t := c.AddTable(&nftables.Table{Family: nftables.TableFamilyINet, Name: "naive"})
		set := &nftables.Set{Table: t, Name: "names", KeyType: nftables.TypeIPAddr}
		return c.AddSet(set, []nftables.SetElement{{Key: []byte{192, 0, 2, 1}, Comment: evil}})
	})
	r.Works("a comment as it comes", func() bool { return reload(s) })

	s = ours()
	b := s.Container()
	c := both(s).With(bound).With(Conf{"capabilities": Conf{"portMappings": true}, "runtimeConfig": Conf{"portMappings": []any{Port("tcp", 8080, 80)}}})
	ExpectOK("ADD", s.Run(Call{
		Plugin: "bridge", Command: "ADD", ContainerID: b.ID, Netns: b.Path, IfName: "e\"}\\th", Config: c.Stdin(),
		Args: "IgnoreUnknown=1;K8S_POD_NAMESPACE=" + evil + ";K8S_POD_NAME=" + strings.Repeat("n", 3000),
	}))
	r.Fails("a hostile pod name and a strange interface name", func() bool { return reload(s) })
	s = ours()
	long := both(s).With(Conf{"name": strings.Repeat("n", 200)})
	enter(s, long)
	r.Fails("a long network name", func() bool { return reload(s) })
})

var _ = row("T20", "an answer tells a secret of the configuration", func(r *Row) {
	const secret = "hunter2-hunter2"
	tells := func(s *Stage, c Conf) bool {
		GinkgoHelper()
		answer := s.Call(s.Container(), "ADD", c)
		Expect(answer.Exit).NotTo(BeZero(), "it should be an error")
		return bytes.Contains(append(answer.Stdout, answer.Stderr...), []byte(secret))
	}
	// The control: a value that the message has to quote is in it.
	s := ours()
	r.Works("a wrong value is quoted", func() bool { return tells(s, both(s).With(Conf{"ipMasqBackend": secret})) })
	with := Conf{"args": Conf{"cni": Conf{"password": secret}}, "password": secret, "dns": Conf{"nameservers": []string{secret}}}
	for name, bad := range map[string]Conf{
		"a wrong type":       {"mtu": "big"},
		"a wrong value":      {"mtu": -1},
		"a missing file":     {"ipam": s.IPAM(SubnetV4).With(Conf{"resolvConf": "/none", "password": secret})},
		"an unknown version": {"cniVersion": "9"},
		"a missing plugin":   {"ipam": Conf{"type": "none", "password": secret}},
		"a held bridge name": {"bridge": "uplink"},
	} {
		r.Fails(name, func() bool { return tells(s, both(s).With(with).With(bad)) })
	}
	r.Fails("a lease that others may read", func() bool {
		v := enter(s, both(s).With(with))
		st, err := os.Stat(s.Lease(v.v4.String()))
		Expect(err).NotTo(HaveOccurred())
		return st.Mode().Perm()&0o077 != 0
	})
})

// lavish says whether a plugin needs a heap of more than 64 MiB, or a long time for an
// ADD. Go takes memory from the kernel in pieces of 64 MiB, and dies where it may not
// have a second one.
func lavish(s *Stage, plugin string, stdin []byte) bool {
	GinkgoHelper()
	b := s.Container()
	cmd := exec.Command("sh", "-c", "ulimit -d 131072; exec "+filepath.Join(s.Bin, plugin))
	var errs bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(stdin), &errs
	cmd.Env = append(os.Environ(), "CNI_COMMAND=ADD", "CNI_CONTAINERID="+b.ID, "CNI_NETNS="+b.Path, "CNI_IFNAME=eth0", "CNI_PATH="+s.Bin)
	start := time.Now()
	_ = s.Host.Do(cmd.Run) // whether it refuses is not the question
	return strings.Contains(errs.String(), "out of memory") || cmd.ProcessState.ExitCode() > 1 || time.Since(start) > 10*Patience
}

var _ = row("T21", "a huge or deep configuration takes the node's memory or time", func(r *Row) {
	huge := func(s *Stage) []byte {
		return both(s).With(Conf{"args": Conf{"cni": Conf{"x": strings.Repeat("x", 40<<20)}}}).Stdin()
	}
	s := reference()
	r.Works("the reference: 40 MiB", func() bool { return lavish(s, "bridge", huge(s)) })
	s = ours()
	many := make([]any, 60_000)
	for i := range many {
		many[i] = Conf{"hostPort": 1 + i, "containerPort": 80}
	}
	for _, plugin := range []string{"bridge", "portmap", "host-local"} {
		for name, stdin := range map[string][]byte{
			"40 MiB":       huge(s),
			"deep":         []byte(strings.Repeat(`{"a":[`, 1<<17)),
			"10,000 ports": both(s).With(Conf{"capabilities": Conf{"portMappings": true}, "runtimeConfig": Conf{"portMappings": many[:10_000]}}).Stdin(),
			"60,000 ports": both(s).With(Conf{"runtimeConfig": Conf{"portMappings": many}}).Stdin(),
			"endless zero": make([]byte, 8<<20),
		} {
			r.Fails(plugin+": "+name, func() bool { return lavish(s, plugin, stdin) })
		}
	}
})
