package main

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"github.com/bridgeport-cni/bridgeport/test/stage"
)

// pod is a running pod.
type pod struct {
	kit.Sandbox
	name string
	node *worker
}

// addr is the pod's address.
func (p *pod) addr() string { return p.Addrs[0].String() }

// pods are the running pods with a label app, by node.
func (c *cluster) pods(app string) ([]*pod, error) {
	text, err := c.kubectl("get", "pods", "-l", "app="+app, "-o", "json")
	if err != nil {
		return nil, err
	}
	var list struct {
		Items []struct {
			Metadata struct{ Name string }
			Spec     struct{ NodeName string }
			Status   struct{ Phase string }
		}
	}
	if err := json.Unmarshal([]byte(text), &list); err != nil {
		return nil, err
	}
	var pods []*pod
	for _, item := range list.Items {
		i := slices.IndexFunc(c.workers, func(w *worker) bool { return w.Node.Name == item.Spec.NodeName })
		if item.Status.Phase != "Running" || i < 0 {
			continue
		}
		p := &pod{name: item.Metadata.Name, node: c.workers[i]}
		id, err := p.node.Crictl("pods", "--name", "^"+p.name+"$", "--state", "ready", "-q", "--no-trunc")
		if err != nil {
			return nil, err
		}
		if p.Sandbox, err = p.node.Inspect(id); err != nil {
			return nil, err
		}
		pods = append(pods, p)
	}
	slices.SortFunc(pods, func(a, b *pod) int { return strings.Compare(a.node.Node.Name, b.node.Node.Name) })
	return pods, nil
}

// patience is far above what an answer takes.
const patience = 3 * time.Second

// eventually is for what kube-proxy has to learn first.
func eventually(fn func() error) error { return kit.Wait(30*time.Second, fn) }

// load asks an address over and over until it is stopped.
type load struct {
	stop chan struct{}
	done chan struct{}
	asks int
	errs []error
}

func startLoad(from *stage.Space, targets ...string) *load {
	l := &load{stop: make(chan struct{}), done: make(chan struct{})}
	go func() {
		defer close(l.done)
		for i := 0; ; i++ {
			select {
			case <-l.stop:
				return
			case <-time.After(20 * time.Millisecond):
			}
			l.asks++
			if _, err := from.Ask("tcp", targets[i%len(targets)], patience); err != nil {
				l.errs = append(l.errs, err)
			}
		}
	}()
	return l
}

// end stops the load and tells how many asks there were, and each that failed.
func (l *load) end() (string, error) {
	close(l.stop)
	<-l.done
	err := errors.Join(l.errs...)
	if len(l.errs) > 5 {
		err = errors.Join(l.errs[:5]...)
	}
	if err != nil {
		err = fmt.Errorf("%d of %d asks failed: %w", len(l.errs), l.asks, err)
	}
	return fmt.Sprintf("%d asks", l.asks), err
}
