package main

import (
	"cmp"
	"errors"
	"fmt"
	"path/filepath"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const (
	cpAddr       = "10.10.0.1"
	clientAddr   = "10.10.0.9"
	podCIDR      = "10.244.0.0/16" // the one that the manifest excludes from masquerade
	serviceCIDR  = "10.96.0.0/16"
	firstService = "10.96.0.1" // the API server's own
)

// worker is a node with kubelet, containerd and kube-proxy.
type worker struct {
	*kit.Node
	addr                       string
	containerd, kubelet, proxy *kit.Daemon
}

// cluster is a control plane, its workers, and a machine beside them.
type cluster struct {
	lan     *kit.LAN
	cp      *kit.Node
	client  *stage.Space
	config  string // kubeconfig
	workers []*worker
}

func program(name string) string { return filepath.Join(kit.Cache("bin/kubernetes"), name) }

func newCluster() (*cluster, error) {
	c := &cluster{}
	var err error
	if c.lan, err = kit.NewLAN(); err != nil {
		return nil, err
	}
	if c.client, err = c.lan.Join("client", clientAddr+"/24"); err != nil {
		return nil, err
	}
	if c.cp, err = kit.NewNode(c.lan, "cp", cpAddr+"/24"); err != nil {
		return nil, err
	}
	for i := range 2 {
		w := &worker{addr: fmt.Sprintf("10.10.0.%d", 11+i)}
		if w.Node, err = kit.NewNode(c.lan, fmt.Sprintf("n%d", i+1), w.addr+"/24"); err != nil {
			return nil, err
		}
		// Programs of the node reach services, too, and these have addresses that only
		// the default route leads to.
		if err := kit.Route(w.Space, "0.0.0.0/0", cpAddr); err != nil {
			return nil, err
		}
		c.workers = append(c.workers, w)
	}
	return c, nil
}

// control starts etcd, the API server, the controllers and the scheduler.
func (c *cluster) control() error {
	var err error
	if c.config, err = writePKI(c.cp); err != nil {
		return err
	}
	start := func(name string, argv ...string) {
		if err == nil {
			_, err = c.cp.Start(name, argv...)
		}
	}
	start("etcd", "etcd", "--name", "cp", "--data-dir", "/var/lib/etcd", "--unsafe-no-fsync",
		"--listen-client-urls", "http://127.0.0.1:2379", "--advertise-client-urls", "http://127.0.0.1:2379",
		"--listen-peer-urls", "http://127.0.0.1:2380")
	start("apiserver", program("kube-apiserver"), "--etcd-servers=http://127.0.0.1:2379",
		"--bind-address="+cpAddr, "--advertise-address="+cpAddr, "--secure-port=6443",
		"--service-cluster-ip-range="+serviceCIDR, "--allow-privileged=true", "--authorization-mode=RBAC",
		"--token-auth-file="+pki+"tokens.csv", "--tls-cert-file="+pki+"api.crt", "--tls-private-key-file="+pki+"api.key",
		"--service-account-issuer=https://kubernetes.default.svc", "--service-account-key-file="+pki+"sa.pub",
		"--service-account-signing-key-file="+pki+"sa.key", "--client-ca-file="+pki+"ca.crt", "--cert-dir=/run/tmp",
		"--kubelet-preferred-address-types=InternalIP", "--endpoint-reconciler-type=master-count", "--profiling=false")
	if err == nil {
		err = kit.Wait(2*time.Minute, func() error {
			answer, err := c.kubectl("get", "--raw", "/readyz")
			if err == nil && answer != "ok" {
				err = errors.New("API server: " + answer)
			}
			return err
		})
	}
	start("controller-manager", program("kube-controller-manager"), "--kubeconfig="+kubeconfig, "--leader-elect=false",
		"--allocate-node-cidrs=true", "--cluster-cidr="+podCIDR, "--node-cidr-mask-size=24",
		"--service-cluster-ip-range="+serviceCIDR, "--service-account-private-key-file="+pki+"sa.key",
		"--root-ca-file="+pki+"ca.crt", "--bind-address=127.0.0.1", "--cert-dir=/run/tmp", "--use-service-account-credentials=false")
	start("scheduler", program("kube-scheduler"), "--kubeconfig="+kubeconfig, "--leader-elect=false",
		"--bind-address=127.0.0.1", "--cert-dir=/run/tmp")
	return err
}

// kubectl runs kubectl on the control plane.
func (c *cluster) kubectl(args ...string) (string, error) {
	return c.cp.Run(append([]string{program("kubectl"), "--kubeconfig", kubeconfig}, args...)...)
}

// apply applies a manifest.
func (c *cluster) apply(manifest string) error {
	if err := c.cp.Write("/run/tmp/manifest.yaml", manifest); err != nil {
		return err
	}
	_, err := c.kubectl("apply", "-f", "/run/tmp/manifest.yaml")
	return err
}

// kubelet insists on some settings of the machine; the kit shows it files instead. It needs
// no anonymous user beyond the tests.
const kubeletConfig = `apiVersion: kubelet.config.k8s.io/v1beta1
kind: KubeletConfiguration
authentication: {anonymous: {enabled: true}, webhook: {enabled: false}}
authorization: {mode: AlwaysAllow}
cgroupDriver: cgroupfs
cgroupRoot: CGROUP
failCgroupV1: false
failSwapOn: false
containerRuntimeEndpoint: unix:///run/containerd/containerd.sock
clusterDomain: cluster.local
resolvConf: ""
oomScoreAdj: 0
maxOpenFiles: 20000
maxPods: 200
evictionHard: {memory.available: 100Mi, nodefs.available: "1%", imagefs.available: "1%", nodefs.inodesFree: "1%"}
imageGCHighThresholdPercent: 100
nodeStatusUpdateFrequency: 5s
`

const proxyConfig = `apiVersion: kubeproxy.config.k8s.io/v1alpha1
kind: KubeProxyConfiguration
clientConnection: {kubeconfig: /etc/kubernetes/kubeconfig}
mode: MODE
clusterCIDR: 10.244.0.0/16
hostnameOverride: NODE
oomScoreAdj: 0
conntrack: {maxPerCore: 0, min: 0, tcpEstablishedTimeout: 0s, tcpCloseWaitTimeout: 0s}
`

// join starts containerd, kubelet and kube-proxy on a worker.
func (c *cluster) join(w *worker) error {
	err := w.Write(kubeconfig, c.config)
	if err == nil {
		err = w.Write("/etc/kubernetes/kubelet.yaml", strings.ReplaceAll(kubeletConfig, "CGROUP", w.Cgroup()))
	}
	if err == nil {
		err = w.startRuntime()
	}
	image, ierr := kit.InstallerImage()
	if err = cmp.Or(err, ierr); err == nil {
		err = w.Import(image)
	}
	if err == nil {
		err = w.startKubelet()
	}
	if err == nil {
		err = w.startProxy("iptables")
	}
	return err
}

func (w *worker) startRuntime() (err error) {
	w.containerd, err = w.Containerd(kit.Module())
	return err
}

func (w *worker) startKubelet() (err error) {
	w.kubelet, err = w.Start("kubelet", program("kubelet"), "--config=/etc/kubernetes/kubelet.yaml", "--kubeconfig="+kubeconfig,
		"--hostname-override="+w.Node.Name, "--node-ip="+w.addr, "--cert-dir=/var/lib/kubelet/pki")
	return err
}

func (w *worker) startProxy(mode string) error {
	text := strings.NewReplacer("MODE", mode, "NODE", w.Node.Name).Replace(proxyConfig)
	err := w.Write("/etc/kubernetes/proxy.yaml", text)
	if err == nil {
		w.proxy, err = w.Start("proxy", program("kube-proxy"), "--config=/etc/kubernetes/proxy.yaml")
	}
	return err
}
