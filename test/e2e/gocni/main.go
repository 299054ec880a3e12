// Command gocni is the end-to-end test with nerdctl's CNI library, go-cni: containers of
// containerd, whose OCI hook (modules/gocni/hook) calls go-cni in nerdctl's order, on
// networks as nerdctl writes them. nerdctl itself is not run.
package main

import (
	"errors"
	"os"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
)

const (
	confDir    = "/etc/cni/net.d/"
	sampleFile = confDir + "nerdctl-bridgeport.conflist"
	listening  = "7000" // of the client
)

// test is one node with containerd, and a machine beside it.
type test struct {
	*kit.Report
	host
	site       *kit.Site
	node       *kit.Node
	containerd *kit.Daemon
	new        snapshot.Snapshot // before the first container
	idle       snapshot.Snapshot // after it has come and gone
}

// host is what the node has, and which backend the sample's portmap.
type host struct {
	name     string
	programs bool // iptables is there
	nftables bool // instead of the sample's backend
}

var hosts = []host{
	{"conf/nerdctl as it is", true, false},
	{"portmap by nftables, beside iptables", true, true},
	{"a host without iptables", false, true},
}

func main() { kit.Main("e2e-gocni", run) }

func run(r *kit.Report) error {
	site, err := kit.NewSite()
	if err == nil {
		err = site.Serve(listening)
	}
	if err != nil {
		return err
	}
	for i, h := range hosts {
		r.Section("go-cni 1.1.14 in an OCI hook: " + h.name)
		t := &test{Report: r, host: h, site: site}
		if t.node, err = site.Node([]string{"sample", "nftables", "bare"}[i]); err != nil {
			return err
		}
		if t.begin() {
			t.all()
			r.Called("go-cni 1.1.14, nerdctl's library: "+h.name, t.node)
		}
		if err := t.node.PowerOff(); err != nil {
			return err
		}
	}
	return nil
}

func (t *test) all() {
	t.published()
	t.automatic()
	t.addresses()
	t.compose()
	t.lives()
	t.own()
	t.created()
	t.parallel()
	t.end()
}

// begin lays the node out, and runs the first container on the sample.
func (t *test) begin() bool {
	if !t.Do("containerd 2, runc, our plugins, the reference's firewall and tuning", t.install) {
		return false
	}
	if !t.programs && !t.refused() {
		return false
	}
	return t.Do("a container on the sample comes and goes", func() error {
		c, err := t.run("first", wish{Ports: publish("8080:80", "[::]:8080:80")})
		if err == nil {
			err = c.remove()
		}
		if err == nil {
			t.idle, err = t.node.Settled()
		}
		return err
	})
}

func (t *test) install() (err error) {
	text, err := os.ReadFile(kit.Repo("conf/nerdctl/nerdctl-bridgeport.conflist"))
	sample := string(text)
	if t.nftables && t.programs {
		sample = byNFTables(sample)
	}
	err = errors.Join(err, t.node.InstallPlugins(), t.node.Write(sampleFile, sample),
		t.node.Copy(kit.Cache("bin/gocni/hook"), hook),
		t.node.Copy(kit.Repo("bin/e2e/pod"), rootfs+"/pod"),
		os.MkdirAll(t.node.Root(rootfs+"/proc"), 0o755), os.MkdirAll(t.node.Root(rootfs+"/dev"), 0o755))
	for _, plugin := range []string{"firewall", "tuning"} {
		err = errors.Join(err, t.node.Copy(kit.Cache("bin/gocni/"+plugin), "/opt/cni/bin/"+plugin))
	}
	if !t.programs {
		_, rerr := t.node.Run("sh", "-c", "rm /usr/sbin/*tables*") // of the node's own /usr; nft stays
		err = errors.Join(err, rerr)
	}
	if err == nil {
		t.containerd, err = t.node.Containerd(kit.Module())
	}
	if err == nil {
		t.new, err = t.node.Settled()
	}
	return err
}

// byNFTables is the sample with portmap's usual backend.
func byNFTables(sample string) string {
	return strings.Replace(sample, `"backend": "iptables",`, "", 1)
}

// refused shows the sample on a host where it can't work, and leaves one that can.
func (t *test) refused() bool {
	return t.Do("the sample's backend is refused; the container's rest goes with `rm`; it is taken out", func() error {
		err := t.fails("early", wish{Ports: publish("8080:80")}, "portmap", "iptables is not installed")
		text, rerr := os.ReadFile(t.node.Root(sampleFile))
		return errors.Join(err, rerr, t.node.ExpectUnattached(), t.node.Write(sampleFile, byNFTables(string(text))))
	})
}

func (t *test) end() {
	t.Do("nothing is left of containers; after GC nothing but what firewall and iptables keep", func() error {
		err := errors.Join(t.node.ExpectUnattached(), t.node.GC(sampleFile, nil), t.node.ExpectNothing())
		_, nerr := t.node.Run("sh", "-c", "nft list tables | while read -r _ family name; do nft delete table $family $name; done")
		return errors.Join(err, nerr, t.node.ExpectState(t.new))
	})
}
