package operator_test

import (
	"errors"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

var _ = Describe("lab", func() {
	try := func(args ...string) (string, error) {
		out, err := exec.Command(filepath.Join(stage.Plugins(GinkgoT(), "bridgeport"), "bridgeport"), args...).CombinedOutput()
		return string(out), err
	}
	run := func(args ...string) string {
		GinkgoHelper()
		out, err := try(args...)
		Expect(err).NotTo(HaveOccurred(), "%s", out)
		return out
	}
	refused := func(says string, args ...string) {
		GinkgoHelper()
		out, err := try(args...)
		Expect(err).To(HaveOccurred(), "%s", out)
		Expect(out).To(ContainSubstring(says))
	}
	// servers are the web servers that run.
	servers := func() (list []string) {
		all, _ := filepath.Glob("/proc/[0-9]*/cmdline")
		for _, file := range all {
			text, _ := os.ReadFile(file) // the process may have ended
			if words := strings.Split(string(text), "\x00"); len(words) > 3 && words[1] == "lab" && words[2] == "serve" {
				list = append(list, words[3])
			}
		}
		return list
	}
	AfterEach(func() {
		for _, name := range []string{"", "second"} {
			run("lab", "down", "--lab", name)
		}
		left, err := filepath.Glob("/run/netns/lab*")
		Expect(err).NotTo(HaveOccurred())
		Expect(left).To(BeEmpty())
		Expect("/run/bridgeport-lab").NotTo(BeADirectory())
		Expect(servers()).To(BeEmpty(), "no web server is left")
	})

	It("goes up, opens shells and goes down", func() {
		golden("lab.txt", run("lab", "up", "red", "blue"))
		run("lab", "up", "green")
		refused("red is in lab default already", "lab", "up", "grey", "red")
		run("lab", "sh", "green", "ping", "-c1", "-W3", "203.0.113.9")
		Expect(run("lab", "sh", "red", "ip", "-br", "address")).To(ContainSubstring("10.60.0.2/24"))
		Expect(run("lab", "sh", "host", "nft", "list", "map", "inet", "bridgeport", "anyport4")).To(ContainSubstring("8082"))
		_, err := try("lab", "sh", "red", "sh", "-c", "exit 7")
		var exit *exec.ExitError
		Expect(errors.As(err, &exit)).To(BeTrue())
		Expect(exit.ExitCode()).To(Equal(7))
		refused("there is no grey", "lab", "sh", "grey")
	})

	It("has a page in each container, which the outside reads", func() {
		run("lab", "up")
		Expect(run("lab", "get", "http://203.0.113.2:8080")).To(HavePrefix("red, by 10.60.0.2:80: you come from 203.0.113.9:"))
		Expect(run("lab", "get", "--from", "red", "http://[fd60::3]")).To(HavePrefix("blue, by [fd60::3]:80"))
		Expect(servers()).To(ConsistOf("red", "blue"))
		Expect(run("--lab", "default", "doctor")).To(HaveSuffix("all is well\n"))
		refused("refused", "lab", "get", "http://203.0.113.2:8090")
	})

	It("is looked at by its name, beside others", func() {
		run("lab", "up", "red")
		Expect(run("lab", "up", "--lab", "second", "--like", "v-net-0")).To(And(ContainSubstring("192.168.15.1,"), ContainSubstring("lab sh --lab second red")))
		for _, args := range [][]string{{"--lab", "second", "ls"}, {"ls", "--lab", "second"}} {
			Expect(run(args...)).To(And(ContainSubstring("v-net-0"), ContainSubstring("192.168.15.2"), Not(ContainSubstring("10.60.0."))))
		}
		Expect(run("--lab", "default", "who", "8080")).To(ContainSubstring("lab/red/eth0, alive"))
		Expect(run("--lab", "", "who", "8080")).To(ContainSubstring("lab/red/eth0, alive"))
		Expect(run("lab", "ls")).To(ContainSubstring("second: blue, red"))
		Expect(run("__complete", "lab", "sh", "--lab", "second", "")).To(HavePrefix("blue\nred\nhost\noutside\n"))
		Expect(run("__complete", "--lab", "second", "who", "80")).To(HavePrefix("8080/tcp\n8081/tcp\n"))
		refused("has the network v-net-0", "lab", "up", "--lab", "second", "--like", "lab", "green")
		run("lab", "down", "--lab", "second")
		Expect(run("lab", "get", "http://203.0.113.2:8080")).To(HavePrefix("red,"))
		refused("lab second is not up: bridgeport lab up --lab second", "ls", "--lab", "second")
	})

	It("takes any list, and makes nothing for a bad one", func() {
		file := filepath.Join(GinkgoT().TempDir(), "my.conflist")
		conf := `{"cniVersion": "1.0.0", "name": "my", "plugins": [{"type": "bridge", "bridge": "my0", "isGateway": true,
			"ipam": {"type": "host-local", "dataDir": "/var/lib/elsewhere", "ranges": [[{"subnet": "10.77.0.0/24"}]]}}]}`
		Expect(os.WriteFile(file, []byte(strings.Replace(conf, `"bridge",`, `"brigde",`, 1)), 0o644)).To(Succeed())
		refused("brigde", "lab", "up", "--conf", file, "red")
		refused("no such file", "lab", "up", "--conf", file+"x", "red")
		refused(`did you mean "v-net-0"?`, "lab", "up", "--like", "v-net-1", "red")
		Expect("/run/bridgeport-lab").NotTo(BeADirectory())
		Expect(os.WriteFile(file, []byte(conf), 0o644)).To(Succeed())
		Expect(run("lab", "up", "--conf", file, "red")).To(ContainSubstring("red  10.77.0.2, from the host http://10.77.0.2:80"))
		Expect(run("lab", "get", "--from", "host", "http://10.77.0.2")).To(HavePrefix("red,"))
		Expect("/var/lib/elsewhere").NotTo(BeADirectory())
		run("lab", "up", "green")
		Expect(run("--lab", "default", "ls", "--network", "my")).To(ContainSubstring("2 attachments: 2 ok"))
	})
})
