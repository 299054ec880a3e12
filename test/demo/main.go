// Command demo rebuilds a classic exercise on network namespaces, a bridge with
// two containers, a way out and a published port, by Bridgeport's plugins, and shows
// at each step which hand-typed commands they replace. It works in namespaces of its
// own and needs root.
package main

import (
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"golang.org/x/sys/unix"
)

// options are the command line.
type options struct {
	bin  string
	conf string
}

func main() {
	var o options
	flag.StringVar(&o.bin, "bin", "bin", "directory with the plugins")
	flag.StringVar(&o.conf, "conf", "conf/demo/v-net-0.conflist", "network configuration list")
	flag.Parse()
	// Before the program starts its isolated copy: complaints come once, at once.
	if err := o.ready(); err != nil {
		fmt.Fprintf(os.Stderr, "demo: %v\n", err)
		os.Exit(1)
	}
	if code, isChild := stage.Isolate(); !isChild {
		os.Exit(code)
	}
	exitOnSignal()
	os.Exit(run(o))
}

// ready tells what is missing before anything starts.
func (o options) ready() error {
	if os.Geteuid() != 0 {
		return errors.New("root is needed to make network namespaces (the machine's own network stays as it is): try sudo")
	}
	for _, plugin := range []string{"bridge", "portmap", "host-local"} {
		path := filepath.Join(o.bin, plugin)
		if unix.Access(path, unix.X_OK) != nil {
			return fmt.Errorf("%s: not there or not executable: run `make build`, or name the directory by -bin", path)
		}
	}
	return nil
}

// exitOnSignal ends the demo at Ctrl-C. Nothing needs tidying up: the end of this
// process ends its PID namespace with every plugin, and with them the namespaces.
func exitOnSignal() {
	signals := make(chan os.Signal, 1)
	signal.Notify(signals, unix.SIGINT, unix.SIGTERM, unix.SIGHUP)
	go func() {
		<-signals
		fmt.Println("\ndemo: interrupted; what it had built is gone with it")
		os.Exit(130)
	}()
}

// step is one chapter. show returns false where going on makes no sense.
type step struct {
	title string
	show  func(w *world, p *page) bool
}

var steps = []step{
	{"Two containers on one bridge", attach},
	{"Neighbours", neighbours},
	{"The host joins in", hostJoins},
	{"The way out", wayOut},
	{"The way in", wayIn},
	{"CHECK notices damage", damage},
	{"Nothing stays behind", farewell},
}

func run(o options) (code int) {
	start := time.Now()
	p := newPage(os.Stdout)
	w, err := newWorld(o)
	if err != nil {
		p.check("host and outside are ready", "", err)
		return p.verdict(time.Since(start))
	}
	defer w.close()
	opening(p)
	for i, s := range steps {
		p.heading(i+1, s.title)
		if !s.show(w, p) {
			p.say("The other steps need this one, so the demo ends here.")
			break
		}
	}
	return p.verdict(time.Since(start))
}

func opening(p *page) {
	p.title("Bridgeport: container networking without the typing")
	p.say("Whoever learns about container networks builds this one by hand, with some",
		"thirty commands. Here three CNI plugins build it. All of it lives in network",
		"namespaces that end with this program; your own network is not touched.")
	p.picture(
		"                     ┌─ host ───────────────────────────┐        red",
		"     outside         │  uplink          bridge v-net-0  ├──────  192.168.15.1",
		"     192.168.1.3 ────┤  192.168.1.2     192.168.15.5    │        blue",
		"                     │  port 80 ──────────────────────► ├──────  192.168.15.2",
		"                     └──────────────────────────────────┘        port 80")
	p.say("Dim lines are what a person would type. ✓ and ✗ are what was seen to happen.")
}
