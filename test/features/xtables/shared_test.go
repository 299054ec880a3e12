package xtables_test

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

// slowly is a stage whose iptables-restore takes a second longer, and goes on when the
// plugin that started it is gone, as one in the kernel does. more is what it does first.
func slowly(s *Stage, variant, more string) (slow *Stage, atWork, done string) {
	GinkgoHelper()
	dir := filepath.Join(s.Dir, "slow")
	Expect(os.Mkdir(dir, 0o755)).To(Succeed())
	atWork, done = filepath.Join(dir, "at-work"), filepath.Join(dir, "done")
	for _, program := range []string{"iptables-" + variant + "-restore", "ip6tables-" + variant + "-restore"} {
		real, err := exec.LookPath(program)
		Expect(err).NotTo(HaveOccurred())
		script := fmt.Sprintf("#!/bin/sh\ntouch %s\nexec 3<&0\n{ sleep 1; %s \"$@\" <&3; touch %s; } &\n%s\nwait\n", atWork, real, done, more)
		Expect(os.WriteFile(filepath.Join(dir, program), []byte(script), 0o700)).To(Succeed())
	}
	other := *s
	other.Env = []string{"PATH=" + dir + ":" + os.Getenv("PATH")}
	return &other, atWork, done
}

var _ = DescribeTable("an ADD beside a GC that saw the shared chains of iptables without users", func(variant, more string) {
	s := NewStage(GinkgoT())
	w := way{backend: "iptables", variant: variant}
	w.use(s)
	b, c := w.published(s, nil, Port("tcp", 8080, 80))
	ExpectOK("DEL", s.Call(b, "DEL", c))

	slow, atWork, done := slowly(s, variant, more)
	collected := make(chan error)
	go func() {
		gc := Conf{"type": "portmap", "backend": "iptables", "cni.dev/valid-attachments": []Conf{}}
		_, err := slow.Host.CNI(slow.Bin, Call{Plugin: "portmap", Command: "GC", Config: gc.Stdin(), Env: slow.Env})
		collected <- err
	}()
	Eventually(atWork).WithTimeout(Patience).Should(BeAnExistingFile())
	ExpectOK("ADD", s.Call(b, "ADD", c))
	Eventually(done).WithTimeout(Patience).Should(BeAnExistingFile())
	Eventually(collected).WithTimeout(Patience).Should(Receive(Not(HaveOccurred())))
	ExpectOK("CHECK", s.Call(b, "CHECK", c))
	Serve(b.Space, "tcp", 80)
	ExpectSeen(s.Outside, "tcp", HostV4, "8080", OutsideV4)
	ExpectSeen(s.Outside, "tcp", HostV6, "8080", OutsideV6)
},
	Entry("over nf_tables", "nft", ""),
	Entry("over nf_tables, and was killed", "nft", "kill -9 $PPID"),
	Entry("over legacy tables", "legacy", ""),
	Entry("over legacy tables, and was killed", "legacy", "kill -9 $PPID"),
)

var _ = DescribeTable("the guard alone, of an ADD that was killed before the rest, goes by GC", func(variant string) {
	s := NewStage(GinkgoT())
	x := NewXtables(s, variant)
	x.Run(s.Host, "-t raw -N CNI-HOSTPORT-GUARD")
	x.Run(s.Host, "-t raw -A PREROUTING ! -i lo -j CNI-HOSTPORT-GUARD")
	x.Run(s.Host, "-t raw -A CNI-HOSTPORT-GUARD -d 127.0.0.0/8 -j DROP")
	s.GC(Conf{"type": "portmap", "backend": "iptables"})
	Expect(x.Run(s.Host, "-t raw -S")).NotTo(ContainSubstring("CNI-"))
},
	Entry("over nf_tables", "nft"),
	Entry("over legacy tables", "legacy"),
)
