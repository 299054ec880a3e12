package main

import (
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/bridgeport-cni/bridgeport/test/stage"
	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/watch"
)

// apiServer is what the API server answers about nodes: lists in pages, watches with and without the nodes that
// are there, one node, and patches. It speaks JSON.
type apiServer struct {
	*httptest.Server
	streams  bool         // watches begin with the nodes that are there (Kubernetes 1.32 and newer)
	mute     atomic.Bool  // takes questions and answers none
	refusal  atomic.Int32 // the status of each answer, unless 0
	requests atomic.Int64
	bytes    atomic.Int64
	mu       sync.Mutex
	nodes    map[string]*corev1.Node
	version  int
	watchers map[chan []byte]bool
	past     [][]byte // events; the first has version 1
	patches  []string
}

// account is where kubelet puts what a pod needs to speak with the API server.
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// serveAPI starts a server in the space, and writes the pod's account.
func serveAPI(t *testing.T, s *stage.Space, streams bool) *apiServer {
	t.Helper()
	a := &apiServer{streams: streams, nodes: make(map[string]*corev1.Node), watchers: make(map[chan []byte]bool)}
	a.Server = httptest.NewUnstartedServer(http.HandlerFunc(a.serve))
	a.Listener.Close()
	a.Listener = stage.Listen(s, "127.0.0.1:0")
	a.EnableHTTP2 = true
	a.StartTLS()
	t.Cleanup(func() { a.CloseClientConnections(); a.Close() })
	for name, text := range map[string][]byte{
		"ca.crt": pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: a.Certificate().Raw}), "token": []byte("secret"), "namespace": []byte("kube-system"),
	} {
		path := filepath.Join(account, name)
		if err := os.MkdirAll(account, 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return a
}

func (a *apiServer) environ() []string {
	host, port, _ := net.SplitHostPort(a.Listener.Addr().String())
	return []string{"KUBERNETES_SERVICE_HOST=" + host, "KUBERNETES_SERVICE_PORT=" + port}
}

// set adds or changes a node, and tells those that watch.
func (a *apiServer) set(nodes ...*corev1.Node) {
	a.mu.Lock()
	defer a.mu.Unlock()
	for _, n := range nodes {
		kind := watch.Modified
		if a.nodes[n.Name] == nil {
			kind = watch.Added
		}
		a.version++
		n.ResourceVersion = strconv.Itoa(a.version)
		n.TypeMeta = metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}
		for i := range 50 { // what kubelet reports
			n.Status.Images = append(n.Status.Images[:i:i], corev1.ContainerImage{
				Names: []string{fmt.Sprintf("registry.example/team/program-%d@sha256:%064d", i, i), fmt.Sprintf("registry.example/team/program-%d:v1.%d", i, i)}, SizeBytes: 123456789,
			})
		}
		a.nodes[n.Name] = n
		a.tell(kind, n)
	}
}

func (a *apiServer) remove(name string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	a.version++
	n := a.nodes[name]
	n.ResourceVersion = strconv.Itoa(a.version)
	delete(a.nodes, name)
	a.tell(watch.Deleted, n)
}

func (a *apiServer) tell(kind watch.EventType, n *corev1.Node) {
	text := event(kind, n)
	a.past = append(a.past, text)
	for w := range a.watchers {
		w <- text
	}
}

func event(kind watch.EventType, n *corev1.Node) []byte {
	text, _ := json.Marshal(map[string]any{"type": kind, "object": n})
	return append(text, '\n')
}

// drop ends all connections, as an API server that starts anew.
func (a *apiServer) drop() { a.CloseClientConnections() }

func (a *apiServer) serve(w http.ResponseWriter, r *http.Request) {
	a.requests.Add(1)
	if a.mute.Load() {
		<-r.Context().Done()
		return
	}
	if status := a.refusal.Load(); status != 0 {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status))
		a.write(w, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Code: status, Message: "refused"})
		return
	}
	if r.Header.Get("Authorization") != "Bearer secret" {
		http.Error(w, "who are you", http.StatusUnauthorized)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	name := filepath.Base(r.URL.Path)
	q := r.URL.Query()
	switch {
	case r.Method == http.MethodPatch:
		text, _ := io.ReadAll(r.Body)
		a.mu.Lock()
		a.patches = append(a.patches, r.URL.Path+" "+string(text))
		a.mu.Unlock()
		a.write(w, map[string]any{"apiVersion": "v1", "kind": "Node"})
	case name != "nodes":
		a.mu.Lock()
		defer a.mu.Unlock()
		a.write(w, a.nodes[name])
	case q.Get("watch") != "":
		a.watch(w, r)
	default:
		a.list(w, q.Get("limit"), q.Get("continue"))
	}
}

func (a *apiServer) write(w io.Writer, v any) {
	text, _ := json.Marshal(v)
	n, _ := w.Write(text)
	a.bytes.Add(int64(n))
}

func (a *apiServer) list(w http.ResponseWriter, limit, from string) {
	a.mu.Lock()
	defer a.mu.Unlock()
	names := slices.Sorted(maps.Keys(a.nodes))
	if i := slices.Index(names, from); i > 0 {
		names = names[i:]
	}
	list := corev1.NodeList{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "NodeList"}, ListMeta: metav1.ListMeta{ResourceVersion: strconv.Itoa(a.version)}}
	if n, _ := strconv.Atoi(limit); n > 0 && n < len(names) {
		list.Continue, names = names[n], names[:n]
	}
	for _, name := range names {
		list.Items = append(list.Items, *a.nodes[name])
	}
	a.write(w, list)
}

func (a *apiServer) watch(w http.ResponseWriter, r *http.Request) {
	initial := r.URL.Query().Get("sendInitialEvents") == "true"
	if initial && !a.streams {
		w.WriteHeader(http.StatusUnprocessableEntity)
		a.write(w, metav1.Status{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Status"}, Status: "Failure", Reason: metav1.StatusReasonInvalid, Code: http.StatusUnprocessableEntity, Message: "sendInitialEvents is forbidden"})
		return
	}
	events := make(chan []byte, 20000)
	a.mu.Lock()
	if initial {
		for _, name := range slices.Sorted(maps.Keys(a.nodes)) {
			events <- event(watch.Added, a.nodes[name])
		}
		end := &corev1.Node{TypeMeta: metav1.TypeMeta{APIVersion: "v1", Kind: "Node"}}
		end.ResourceVersion, end.Annotations = strconv.Itoa(a.version), map[string]string{metav1.InitialEventsAnnotationKey: "true"}
		events <- event(watch.Bookmark, end)
	} else {
		from, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
		for _, text := range a.past[from:] {
			events <- text
		}
	}
	a.watchers[events] = true
	a.mu.Unlock()
	defer func() {
		a.mu.Lock()
		delete(a.watchers, events)
		a.mu.Unlock()
	}()
	w.WriteHeader(http.StatusOK)
	flush := w.(http.Flusher)
	for {
		flush.Flush()
		select {
		case <-r.Context().Done():
			return
		case text := <-events:
			n, err := w.Write(text)
			a.bytes.Add(int64(n))
			if err != nil {
				return
			}
		}
	}
}
