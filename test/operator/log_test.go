package operator_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
)

type logLine struct {
	Level, Msg, Plugin, Verb, Network, Container, IfName, Error, TraceParent string
	MS                                                                       float64
	Code                                                                     int
	Steps                                                                    map[string]float64
}

func logged(path string) (list []logLine) {
	GinkgoHelper()
	for line := range strings.Lines(stage.Read(GinkgoT(), path)) {
		var l logLine
		Expect(json.Unmarshal([]byte(line), &l)).To(Succeed(), line)
		list = append(list, l)
	}
	return list
}

var _ = Describe("the plugins' log", func() {
	It("has a line for each verb, by the configuration, and metrics read it", func() {
		path := filepath.Join(GinkgoT().TempDir(), "plugins.log")
		n := newNode(stage.Conf{"log": stage.Conf{"file": path}})
		b := n.add("web", stage.Port("tcp", 8080, 80))
		Expect(n.Net.Check("web", b.Path, "eth0", n.ports["web"])).To(Succeed())
		_, err := n.Net.Add("web", b.Path, "eth0", nil)
		Expect(err).To(HaveOccurred())
		Expect(n.Net.Del("web", b.Path, "eth0", nil)).To(Succeed())
		lines := logged(path) // of bridge alone: portmap's configuration does not ask
		var verbs []string
		for _, l := range lines {
			verbs = append(verbs, l.Verb)
			Expect(l.Plugin + l.Network + l.Container + l.IfName).To(Equal("bridgelanwebeth0"))
			Expect(l.MS).To(BeNumerically(">", 0))
		}
		Expect(verbs).To(Equal([]string{"ADD", "CHECK", "ADD", "DEL"}))
		Expect(lines[0].Steps).To(And(HaveKey("lease"), HaveKey("kernel")))
		Expect(lines[2].Level).To(Equal("ERROR"))
		Expect(lines[2].Code).To(BeNumerically(">", 0))
		Expect(lines[2].Error).NotTo(BeEmpty())
		text := n.ok("metrics")
		Expect(text).To(ContainSubstring(`bridgeport_verb_duration_seconds_count{plugin="bridge",verb="ADD",network="lan"} 2`))
		Expect(text).To(ContainSubstring(`bridgeport_verb_failures{plugin="bridge",verb="ADD",network="lan",code=`))
		info, err := os.Stat(path)
		Expect(err).NotTo(HaveOccurred())
		Expect(info.Mode().Perm()).To(Equal(os.FileMode(0o600)))
	})

	It("is asked for by the environment, and carries TRACEPARENT", func() {
		n := newNode(nil)
		path := filepath.Join(n.Dir, "plugins.log")
		const trace = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
		n.Env = []string{"BRIDGEPORT_LOG=debug:" + path, "TRACEPARENT=" + trace}
		b, result := n.Attach(n.Bridge(stage.SubnetV4))
		n.Stage.Del(b, n.Bridge(stage.SubnetV4), result)
		lines := logged(path)
		Expect(lines).To(HaveLen(2))
		Expect(lines[0].TraceParent).To(Equal(trace))
		Expect(stage.Read(GinkgoT(), path)).To(ContainSubstring(`"config":{`))
	})

	It("refuses bad settings where nothing is made yet, and cleans up all the same", func() {
		n := newNode(nil)
		bad := n.Bridge(stage.SubnetV4).With(stage.Conf{"log": stage.Conf{"level": "loud"}})
		b := n.Container()
		stage.ExpectError(n.Call(b, "ADD", bad), 7, `log.level: "loud" is none of error, info, debug`)
		stage.ExpectOK("DEL", n.Call(b, "DEL", bad))
	})
})
