package main

import (
	"errors"
	"fmt"
	"net/http"
	"sync"
	"time"
)

// report is what the endpoints tell of the last look.
type report struct {
	mu            sync.Mutex
	err           error
	nodes, hops   int
	looks, failed int
}

var errNotYet = errors.New("the nodes are not known yet")

func (r *report) set(nodes, hops int, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.nodes, r.hops, r.err, r.looks = nodes, hops, err, r.looks+1
	if err != nil {
		r.failed++
	}
}

// serve answers /readyz and /metrics (Prometheus' text format).
func (r *report) serve(address string) {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		if r.err != nil {
			http.Error(w, r.err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "in step")
	})
	mux.HandleFunc("GET /metrics", func(w http.ResponseWriter, _ *http.Request) {
		r.mu.Lock()
		defer r.mu.Unlock()
		for _, m := range []struct {
			name, kind, help string
			value            int
		}{
			{"nodes", "gauge", "Nodes that the API server knows.", r.nodes},
			{"routes", "gauge", "Routes to other nodes' podCIDRs.", r.hops},
			{"looks_total", "counter", "Comparisons of the node with the cluster.", r.looks},
			{"failed_looks_total", "counter", "Those that ended in an error.", r.failed},
		} {
			fmt.Fprintf(w, "# HELP bridgeport_installer_%[1]s %[3]s\n# TYPE bridgeport_installer_%[1]s %[2]s\nbridgeport_installer_%[1]s %[4]d\n", m.name, m.kind, m.help, m.value)
		}
	})
	server := &http.Server{Addr: address, Handler: mux, ReadHeaderTimeout: 5 * time.Second}
	fmt.Println("installer:", server.ListenAndServe())
}
