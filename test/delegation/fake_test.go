package delegation_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	. "github.com/bridgeport-cni/bridgeport/test/stage"
	. "github.com/onsi/ginkgo/v2"
	. "github.com/onsi/gomega"
	"golang.org/x/sys/unix"
)

// fakeName is the IPAM plugin that this program is, if it is called by that name.
const fakeName = "fake-ipam"

// behavior is what the fake does at one command: print, a number of times, and exit or
// die.
type behavior struct {
	Print  string      `json:"print"`
	Times  int         `json:"times"`
	Exit   int         `json:"exit"`
	Signal unix.Signal `json:"signal"`
}

// orders are the fake's keys in the configuration. It has no other way to know them,
// so that a configuration which does not arrive shows.
type orders struct {
	IPAM struct {
		Record   string              `json:"record"` // a folder
		Behavior map[string]behavior `json:"behavior"`
	} `json:"ipam"`
}

// call is what the fake tells of one of its calls.
type call struct {
	Command, ContainerID, Netns, IfName, Args, Path string
	Procs, Files                                    string // GOMAXPROCS, limits

	Config []byte
	Links  []string // of the host, at that time
}

const usualAnswer = `{"cniVersion": "1.1.0", "ips": [{"address": "10.60.0.77/24", "gateway": "10.60.0.1"}],
	"routes": [{"dst": "192.0.2.0/24"}], "dns": {"nameservers": ["192.0.2.53"]}}`

// fake records the call and behaves as ordered.
func fake() int {
	config, err := io.ReadAll(os.Stdin)
	var o orders
	if err == nil {
		err = json.Unmarshal(config, &o)
	}
	if err == nil {
		err = o.record(config)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "fake-ipam:", err)
		return 99
	}
	command := os.Getenv("CNI_COMMAND")
	b, ordered := o.IPAM.Behavior[command]
	if !ordered && command == "ADD" {
		b.Print = usualAnswer
	}
	fmt.Print(strings.Repeat(b.Print, max(1, b.Times)))
	if b.Signal != 0 {
		_ = unix.Kill(os.Getpid(), b.Signal) // what it returns, if it does, tells the spec enough
		select {}
	}
	return b.Exit
}

// limits are the limits of open files that a program gets which this one starts. (Go
// changes its own.)
func limits() string {
	out, err := exec.Command("/bin/sh", "-c", "ulimit -Sn; ulimit -Hn").CombinedOutput()
	return fmt.Sprint(string(out), err)
}

func (o orders) record(config []byte) error {
	earlier, err := os.ReadDir(o.IPAM.Record)
	if err != nil {
		return err
	}
	c := call{Config: config}
	c.Procs, c.Files = os.Getenv("GOMAXPROCS"), limits()
	for name, to := range map[string]*string{
		"COMMAND": &c.Command, "CONTAINERID": &c.ContainerID, "NETNS": &c.Netns,
		"IFNAME": &c.IfName, "ARGS": &c.Args, "PATH": &c.Path,
	} {
		*to = os.Getenv("CNI_" + name)
	}
	links, err := net.Interfaces()
	if err != nil {
		return err
	}
	for _, l := range links {
		c.Links = append(c.Links, l.Name)
	}
	text, err := json.Marshal(c)
	if err != nil {
		return err
	}
	return os.WriteFile(filepath.Join(o.IPAM.Record, fmt.Sprintf("%03d", len(earlier))), text, 0o600)
}

// director gives orders to the fake of one spec and reads what it recorded.
type director struct {
	*Stage
	records string
}

func newDirector() *director {
	GinkgoHelper()
	d := &director{Stage: newStage()}
	d.records = filepath.Join(d.Dir, "records")
	Expect(os.Mkdir(d.records, 0o755)).To(Succeed())
	return d
}

// conf is a network of the fake's.
func (d *director) conf(behaviors map[string]behavior) Conf {
	return d.Bridge().With(Conf{
		"isDefaultGateway": true, "ipMasq": true,
		"ipam": Conf{"type": fakeName, "record": d.records, "behavior": behaviors},
	})
}

// calls are those since the last look.
func (d *director) calls() (list []call) {
	GinkgoHelper()
	entries, err := os.ReadDir(d.records)
	Expect(err).NotTo(HaveOccurred())
	for _, e := range entries {
		path := filepath.Join(d.records, e.Name())
		text, err := os.ReadFile(path)
		Expect(err).NotTo(HaveOccurred())
		var c call
		Expect(json.Unmarshal(text, &c)).To(Succeed())
		list = append(list, c)
		Expect(os.Remove(path)).To(Succeed())
	}
	return list
}

// commands are their commands, "ADD DEL".
func (d *director) commands() string {
	GinkgoHelper()
	var words []string
	for _, c := range d.calls() {
		words = append(words, c.Command)
	}
	return strings.Join(words, " ")
}
