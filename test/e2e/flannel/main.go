// Command flannel is the end-to-end test with flannel: two nodes with containerd, flanneld
// and flannel's CNI plugin, which has the work done by our bridge.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"os"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	etcdAddr   = "10.10.0.1"
	clientAddr = "10.10.0.9"
	endpoint   = "http://" + etcdAddr + ":2379"
)

// network is what flannel reads from etcd.
const network = `{"Network": "10.42.0.0/16", "SubnetLen": 24, "Backend": {"Type": "host-gw"}}`

type node struct {
	*kit.Node
	addr string
	idle snapshot.Snapshot
	pod  *kit.Pod
}

type test struct {
	*kit.Report
	client, etcd *kit.Node
	nodes        []*node
}

func main() { kit.Main("e2e-flannel", run) }

func run(r *kit.Report) error {
	lan, err := kit.NewLAN()
	if err != nil {
		return err
	}
	t := &test{Report: r}
	if t.client, err = kit.NewNode(lan, "client", clientAddr+"/24"); err != nil {
		return err
	}
	if t.etcd, err = kit.NewNode(lan, "etcd", etcdAddr+"/24"); err != nil {
		return err
	}
	for i := range 2 {
		n := &node{addr: fmt.Sprintf("10.10.0.%d", 11+i)}
		if n.Node, err = kit.NewNode(lan, fmt.Sprintf("n%d", i+1), n.addr+"/24"); err != nil {
			return err
		}
		t.nodes = append(t.nodes, n)
	}
	r.Section("flannel over host-gw")
	if t.begin() {
		t.traffic()
		t.end()
		r.Called("flannel with containerd", t.nodes[0].Node, t.nodes[1].Node)
	}
	for _, n := range t.nodes {
		err = errors.Join(err, n.PowerOff())
	}
	return errors.Join(err, t.client.PowerOff(), t.etcd.PowerOff())
}

func (t *test) begin() bool {
	return t.Do("etcd has flannel's network", func() error {
		_, err := t.etcd.Start("etcd", "etcd", "--data-dir", "/var/lib/etcd", "--unsafe-no-fsync",
			"--listen-client-urls", endpoint, "--advertise-client-urls", endpoint)
		if err != nil {
			return err
		}
		return kit.Wait(30*time.Second, func() error { return put(t.etcd.Space, "/coreos.com/network/config", network) })
	}) && t.Check("flanneld leases each node a subnet", func() (string, error) {
		var subnets []string
		for _, n := range t.nodes {
			d, err := n.Start("flanneld", kit.Cache("bin/flannel/flannel"), "--etcd-endpoints="+endpoint,
				"--iface=eth0", "--ip-masq", "--subnet-file=/run/flannel/subnet.env")
			if err != nil {
				return "", err
			}
			err = kit.Wait(30*time.Second, func() error {
				text, err := os.ReadFile(n.Root("/run/flannel/subnet.env"))
				for line := range strings.Lines(string(text)) {
					if s, ok := strings.CutPrefix(line, "FLANNEL_SUBNET="); ok {
						subnets = append(subnets, strings.TrimSpace(s))
					}
				}
				return errors.Join(err, d.Alive())
			})
			if err != nil {
				return "", err
			}
		}
		return strings.Join(subnets, " "), nil
	}) && t.Do("containerd takes conf/flannel as it is; a pod comes and goes on each node", func() error {
		text, err := os.ReadFile(kit.Repo("conf/flannel/10-flannel.conflist"))
		for _, n := range t.nodes {
			if err == nil {
				err = n.start(string(text))
			}
		}
		return err
	})
}

func (n *node) start(conflist string) error {
	plugin, err := os.ReadFile(kit.Cache("bin/flannel-cni/flannel"))
	if err == nil {
		err = n.InstallPlugins()
	}
	if err == nil {
		err = os.WriteFile(n.Root("/opt/cni/bin/flannel"), plugin, 0o755)
	}
	if err == nil {
		err = n.Write("/etc/cni/net.d/10-flannel.conflist", conflist)
	}
	if err == nil {
		_, err = n.Containerd(kit.Module())
	}
	if err == nil {
		_, err = n.ExpectReady(true)
	}
	if err != nil {
		return err
	}
	p, err := n.RunPod("first", kit.TCP(8080, 80))
	if err == nil {
		err = p.Remove()
	}
	if err == nil {
		n.idle, err = n.Settled()
	}
	return err
}

// put writes a key to etcd, by its JSON gateway.
func put(from *stage.Space, key, value string) error {
	text, err := json.Marshal(map[string][]byte{"key": []byte(key), "value": []byte(value)})
	if err != nil {
		return err
	}
	client := http.Client{Timeout: 3 * time.Second, Transport: &http.Transport{
		DialContext: func(ctx context.Context, network, addr string) (conn net.Conn, err error) {
			err = from.Do(func() error {
				conn, err = (&net.Dialer{}).DialContext(ctx, network, addr)
				return err
			})
			return conn, err
		},
	}}
	resp, err := client.Post(endpoint+"/v3/kv/put", "application/json", bytes.NewReader(text))
	if err != nil {
		return err
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		return errors.New("etcd: " + resp.Status)
	}
	return nil
}
