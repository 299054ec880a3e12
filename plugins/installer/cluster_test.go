package main

import (
	"bytes"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
	corev1 "k8s.io/api/core/v1"
)

// follower is a node with an installer.
type follower struct {
	t     *testing.T
	space *stage.Space
	api   *apiServer
	cmd   *exec.Cmd
	dir   string
	mu    sync.Mutex
	said  bytes.Buffer
}

func (f *follower) Write(text []byte) (int, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said.Write(text)
}

func (f *follower) says() string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.said.String()
}

// newFollower makes a node n0 on a wire that all nodes share, and the API server.
func newFollower(t *testing.T, streams bool) *follower {
	t.Helper()
	if os.Geteuid() != 0 {
		t.Skip("needs root to make a network namespace")
	}
	s := stage.OpenSpace(t, "node")
	f := &follower{t: t, space: s, api: serveAPI(t, s, streams), dir: t.TempDir()}
	if err := stage.Wire(s, "eth0", "10.128.0.1/9,fd00:128::1/64", stage.OpenSpace(t, "lan"), "eth0", "10.255.255.1/9"); err != nil {
		t.Fatal(err)
	}
	f.api.set(numbered(0))
	return f
}

// numbered is one of many nodes: with IPv4 and IPv6.
func numbered(i int) *corev1.Node {
	return made(fmt.Sprintf("n%d", i), []string{fmt.Sprintf("10.%d.%d.0/24", i/256, i%256), fmt.Sprintf("fd00:244:%x::/64", i)},
		fmt.Sprintf("10.128.%d.%d", (i+1)/256, (i+1)%256), fmt.Sprintf("fd00:128::%x", i+1))
}

func (f *follower) run(args ...string) {
	f.t.Helper()
	bin := filepath.Join(stage.Root(f.t), "bin/installer")
	f.cmd = exec.Command(bin, append([]string{"-node", "n0", "-template", sampleTemplate, "-conflist", filepath.Join(f.dir, "net.d/10-bridgeport.conflist"), "-interval", "1s"}, args...)...)
	f.cmd.Env, f.cmd.Stderr, f.cmd.Stdout = append(os.Environ(), f.api.environ()...), f, f
	stage.Inside(f.space, f.cmd.Start)
	f.t.Cleanup(func() {
		_ = f.cmd.Process.Kill()
		_ = f.cmd.Wait() // killed
	})
}

// routes are ours on the node.
func (f *follower) routes() table {
	f.t.Helper()
	var have table
	if err := f.space.Do(func() (err error) { have, err = ours(); return err }); err != nil {
		f.t.Fatal(err)
	}
	return have
}

// waits says how long it took until the condition held.
func (f *follower) waits(what string, within time.Duration, is func() bool) time.Duration {
	f.t.Helper()
	begin := time.Now()
	for !is() {
		if time.Since(begin) > within*stage.Slow() {
			f.t.Fatalf("%s: not within %v; it says: %s", what, within, f.says())
		}
		time.Sleep(50 * time.Millisecond)
	}
	return time.Since(begin)
}

// leads asks for one route: to list all of a large cluster's takes longer than to make one.
func (f *follower) leads(cidr, via string) func() bool {
	f.t.Helper()
	return func() (is bool) {
		stage.Inside(f.space, func() error {
			found, err := netlink.RouteGet(netip.MustParsePrefix(cidr).Addr().Next().AsSlice())
			is = err == nil && len(found) == 1 && found[0].Gw.String() == via
			return nil
		})
		return is
	}
}

// memory is the most that the process has had, in MB.
func (f *follower) memory() int {
	f.t.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", f.cmd.Process.Pid))
	found := regexp.MustCompile(`VmHWM:\s+(\d+) kB`).FindSubmatch(text)
	if err != nil || found == nil {
		f.t.Fatal(err)
	}
	kb, _ := strconv.Atoi(string(found[1]))
	return kb / 1024
}

// TestThousands: a cluster of 5,000 nodes, as one of its installers sees it.
func TestThousands(t *testing.T) {
	const many = 5000
	for how, streams := range map[string]bool{"streamed": true, "listed in pages": false} {
		t.Run(how, func(t *testing.T) {
			f := newFollower(t, streams)
			for i := 1; i < many; i++ {
				f.api.set(numbered(i))
			}
			f.run("-interval", "10s")
			all := f.waits("routes to all nodes", 60*time.Second, func() bool { return len(f.routes()) == 2*(many-1) })
			f.waits("it says so", 10*time.Second, func() bool { return strings.HasSuffix(f.says(), "in step\n") })
			began := f.api.bytes.Load()

			f.api.set(numbered(many))
			joined := f.waits("a node joins", 2*time.Second, f.leads(fmt.Sprintf("10.%d.%d.0/24", many/256, many%256), fmt.Sprintf("10.128.%d.%d", (many+1)/256, (many+1)%256)))

			// Each node reports each five minutes: a minute's reports.
			requests, sent := f.api.requests.Load(), f.api.bytes.Load()
			for i := range many / 5 {
				f.api.set(numbered(i + 1))
			}
			f.waits("reports are read", 30*time.Second, func() bool { return f.api.bytes.Load()-sent > int64(many/5)*5000 })
			time.Sleep(time.Second)
			requests, sent = f.api.requests.Load()-requests, f.api.bytes.Load()-sent
			if memory := f.memory(); memory > 40 {
				t.Errorf("memory: %d MB, want at most 40", memory)
			}
			if requests > 1 {
				t.Errorf("%d requests in a minute's reports", requests)
			}
			fmt.Printf("installer: %d nodes, %s: %d routes after %.1f s and %d MB read; a node that joins is routed after %.2f s; a minute's reports are %d requests, %.1f MB; memory at most %d MB\n",
				many, how, 2*(many-1), all.Seconds(), began>>20, joined.Seconds(), requests, float64(sent)/(1<<20), f.memory())
		})
	}
}

// TestFollow: what changes in the cluster changes on the node, and what somebody changes on the node does not stay.
func TestFollow(t *testing.T) {
	f := newFollower(t, true)
	other := made("other", []string{"10.1.0.0/24", "fd00:244:1::/64"}, "10.128.1.1", "fd00:128::1:1")
	f.api.set(other, made("third", []string{"10.2.0.0/24"}, "10.128.1.2"))
	f.run("-listen", "127.0.0.1:9810")
	f.waits("both families", 10*time.Second, func() bool { return len(f.routes()) == 3 })

	f.api.set(made("other", []string{"10.1.0.0/24", "fd00:244:1::/64"}, "10.128.7.7", "fd00:128::7"))
	f.waits("another address", 2*time.Second, f.leads("10.1.0.0/24", "10.128.7.7"))
	f.waits("of both families", 2*time.Second, f.leads("fd00:244:1::/64", "fd00:128::7"))
	f.api.set(made("other", []string{"10.9.0.0/24"}, "10.128.7.7"))
	f.waits("other podCIDRs", 2*time.Second, f.leads("10.9.0.0/24", "10.128.7.7"))
	f.waits("the old ones are gone", 2*time.Second, func() bool { return len(f.routes()) == 2 })
	f.api.remove("third")
	f.waits("a node leaves", 2*time.Second, func() bool { return len(f.routes()) == 1 })

	stage.Program(f.space, "", "ip", "route", "del", "10.9.0.0/24")
	f.waits("a route that somebody removed", 5*time.Second, func() bool { return len(f.routes()) == 1 })
	stage.Program(f.space, "", "ip", "route", "add", "10.77.0.0/24", "via", "10.128.7.9")
	f.api.drop()
	f.api.set(made("fourth", []string{"10.4.0.0/24"}, "10.128.1.4"))
	f.waits("after an API server that started anew", 20*time.Second, f.leads("10.4.0.0/24", "10.128.1.4"))
	if out := stage.Program(f.space, "", "ip", "route"); !strings.Contains(out, "10.77.0.0/24 via 10.128.7.9") {
		t.Errorf("somebody's route is gone: %s", out)
	}
	if status, text := f.get("/readyz"); status != http.StatusOK {
		t.Errorf("readyz: %d: %s", status, text)
	}
	if _, text := f.get("/metrics"); !strings.Contains(text, "\nbridgeport_installer_routes 2\n") || !strings.Contains(text, "\nbridgeport_installer_nodes 3\n") {
		t.Errorf("metrics: %s", text)
	}
}

// TestRouter: nodes that no link leads to directly are named, with what to do; the others have their routes.
func TestRouter(t *testing.T) {
	f := newFollower(t, true)
	f.api.set(made("far", []string{"10.1.0.0/24"}, "192.0.2.7"), made("near", []string{"10.2.0.0/24"}, "10.128.1.2"))
	f.run("-listen", "127.0.0.1:9810")
	f.waits("the near one", 10*time.Second, f.leads("10.2.0.0/24", "10.128.1.2"))
	f.waits("the far one is named", 5*time.Second, func() bool {
		return strings.Contains(f.says(), "node far: 192.0.2.7 is behind a router") && strings.Contains(f.says(), "use flannel")
	})
	if status, text := f.get("/readyz"); status != http.StatusServiceUnavailable || !strings.Contains(text, "node far") {
		t.Errorf("readyz: %d: %s", status, text)
	}
	f.api.remove("far")
	f.waits("in step", 5*time.Second, func() bool { return strings.HasSuffix(f.says(), "installer: in step\n") })
}

// TestAvailable: a cloud's condition NetworkUnavailable goes when the routes are there. Without podCIDRs it stays.
func TestAvailable(t *testing.T) {
	f := newFollower(t, true)
	n := made("n0", nil, "10.128.0.1")
	n.Status.Conditions = []corev1.NodeCondition{{Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionTrue}}
	f.api.set(n)
	f.run()
	f.waits("no podCIDRs", 10*time.Second, func() bool { return strings.Contains(f.says(), "podCIDRs: the node has none") })
	patches := func() []string {
		f.api.mu.Lock()
		defer f.api.mu.Unlock()
		return f.api.patches
	}
	if got := patches(); len(got) > 0 {
		t.Errorf("too early: %q", got)
	}
	n = n.DeepCopy()
	n.Spec.PodCIDRs = []string{"10.0.0.0/24"}
	f.api.set(n)
	f.waits("the condition", 5*time.Second, func() bool { return len(patches()) > 0 })
	if got := patches()[0]; !strings.HasPrefix(got, "/api/v1/nodes/n0/status ") || !strings.Contains(got, `"type":"NetworkUnavailable","status":"False"`) {
		t.Errorf("patch: %s", got)
	}
}

// get asks an endpoint of the installer.
func (f *follower) get(path string) (status int, text string) {
	f.t.Helper()
	dial := func(_ context.Context, network, address string) (conn net.Conn, err error) {
		err = f.space.Do(func() (err error) { conn, err = net.Dial(network, address); return err })
		return conn, err
	}
	client := http.Client{Transport: &http.Transport{DisableKeepAlives: true, DialContext: dial}}
	resp, err := client.Get("http://127.0.0.1:9810" + path)
	if err != nil {
		f.t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		f.t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}
