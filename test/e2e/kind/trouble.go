package main

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
)

// back is how long after the start of a node things are there again. All are waited for at once.
type back struct {
	since time.Time
	wait  sync.WaitGroup
	mu    sync.Mutex
	told  []string
	err   error
}

// await waits for one thing, and notes when it came.
func (b *back) await(what string, fn func() error) {
	b.wait.Go(func() {
		err := kit.Wait(2*time.Minute, fn)
		b.mu.Lock()
		defer b.mu.Unlock()
		b.told = append(b.told, fmt.Sprintf("%s %.1f s", what, time.Since(b.since).Seconds()))
		if err != nil {
			b.err = errors.Join(b.err, fmt.Errorf("%s: %w", what, err))
		}
	})
}

// restart stops a node as `docker stop` does, and starts it.
func (t *test) restart() {
	if t.Check("docker stop, docker start of the worker: what is back after how long", func() (string, error) {
		before, err := t.worker.routes()
		if err != nil {
			return "", err
		}
		t.worker.close()
		if _, err := t.run("docker", "stop", t.worker.name); err != nil {
			return "", err
		}
		if _, err := t.run("docker", "start", t.worker.name); err != nil {
			return "", err
		}
		b := &back{since: time.Now()}
		if t.worker, err = t.open(t.worker.name); err != nil {
			return "", err
		}
		t.awaitAll(b, before)
		b.wait.Wait()
		return strings.Join(b.told, ", "), b.err
	}) {
		t.traffic()
		return
	}
	t.logs()
}

// awaitAll names what a node must have again.
func (t *test) awaitAll(b *back, routes string) {
	published := net.JoinHostPort(hostV4, "18080")
	b.await("routes", func() error {
		now, err := t.worker.routes()
		if err == nil && now != routes {
			err = fmt.Errorf("routes %q, were %q", now, routes)
		}
		return err
	})
	b.await("hostPort", func() error {
		_, err := t.client.Ask("tcp", published, time.Second)
		return err
	})
	// The kernel takes its packets for one flow, which began when nobody translated it.
	b.await("UDP hostPort for a client that asks all the time", func() error {
		_, err := t.client.AskFrom("udp", net.JoinHostPort(clientV4, "4000"), published, 500*time.Millisecond)
		return err
	})
	b.await("all pods", t.podsFresh)
	b.await("DNS", func() error {
		_, err := t.kubectl("exec", "far", "--", "/pod", "ask", "tcp", "web:81")
		return err
	})
}

// closed shows that what kind opens on its nodes, route_localnet, opens nothing to pods. It
// spoils the pod's own 127.0.0.1, so it comes last.
func (t *test) closed() {
	t.Do("a pod does not reach its node's 127.0.0.1, though kind sets route_localnet", func() error {
		setting, err := t.worker.Sysctl("net/ipv4/conf/all/route_localnet")
		if err == nil && setting != "1" {
			err = errors.New("route_localnet is " + setting)
		}
		if err != nil {
			return err
		}
		near, err := t.worker.sandbox("near")
		if err != nil {
			return err
		}
		defer func() { _ = near.Space.NS.Close() }()
		server, err := t.worker.Serve("tcp", "127.0.0.1:7001")
		if err != nil {
			return err
		}
		gateway := near.Addrs[0].As4()
		gateway[3] = 1
		if err := near.Space.RouteLoopback("eth0", netip.AddrFrom4(gateway).String()); err != nil {
			return err
		}
		_, aerr := near.Space.Ask("tcp", "127.0.0.1:7001", time.Second)
		if aerr == nil || server.Asked() > 0 {
			err = errors.New("it is answered")
		}
		return errors.Join(err, server.Close())
	})
}

// podsFresh wants each pod's addresses, as the cluster knows them, to be those of its sandbox.
func (t *test) podsFresh() error {
	if _, err := t.kubectl("wait", "--for=condition=Ready", "pod/web", "pod/near", "pod/far", "--timeout=1s"); err != nil {
		return err
	}
	for _, name := range []string{"web", "near"} {
		s, err := t.worker.sandbox(name)
		if err != nil {
			return err
		}
		defer func() { _ = s.Space.NS.Close() }()
		known, err := t.kubectl("get", "pod", name, "-o", "jsonpath={.status.podIP}")
		if err == nil && known != s.Addrs[0].String() {
			err = errors.New(name + ": the cluster knows " + known + ", it has " + s.Addrs[0].String())
		}
		if err != nil {
			return err
		}
	}
	return nil
}
