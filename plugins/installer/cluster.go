package main

import (
	"context"
	"encoding/json"
	"fmt"
	"reflect"
	"slices"
	"time"

	corev1 "k8s.io/api/core/v1"
	metav1 "k8s.io/apimachinery/pkg/apis/meta/v1"
	"k8s.io/apimachinery/pkg/runtime"
	"k8s.io/apimachinery/pkg/runtime/serializer"
	"k8s.io/apimachinery/pkg/types"
	"k8s.io/apimachinery/pkg/watch"
	"k8s.io/client-go/rest"
	"k8s.io/client-go/tools/cache"
)

// pageSize bounds a list in memory where the API server can't stream one (before Kubernetes 1.32).
const pageSize = 250 // nodes

// cluster is the API server, as a pod reaches it.
type cluster struct {
	client rest.Interface
	codec  runtime.ParameterCodec
	routes table // as they were read last, and changed since; nil before
}

func newCluster() (*cluster, error) {
	config, err := rest.InClusterConfig()
	if err != nil {
		return nil, fmt.Errorf("API server: %w: this program runs in a pod", err)
	}
	scheme := runtime.NewScheme() // of this group alone: all of Kubernetes' would take 20 MB
	if err := corev1.AddToScheme(scheme); err != nil {
		return nil, err
	}
	config.GroupVersion, config.APIPath = &corev1.SchemeGroupVersion, "/api"
	config.AcceptContentTypes, config.ContentType = "application/vnd.kubernetes.protobuf,application/json", "application/json"
	config.NegotiatedSerializer, config.UserAgent = serializer.NewCodecFactory(scheme).WithoutConversion(), "bridgeport-installer"
	client, err := rest.RESTClientFor(config)
	return &cluster{client: client, codec: runtime.NewParameterCodec(scheme)}, err
}

// node reads one node.
func (c *cluster) node(ctx context.Context, name string) (*corev1.Node, error) {
	n := &corev1.Node{}
	if err := c.client.Get().Resource("nodes").Name(name).Do(ctx).Into(n); err != nil {
		return nil, fmt.Errorf("node %s: read: %w", name, err)
	}
	return trimmed(n), nil
}

// trimmed is what this program needs of a node: one of 5,000 has 10 kB else, its images above all.
func trimmed(n *corev1.Node) *corev1.Node {
	return &corev1.Node{
		ObjectMeta: metav1.ObjectMeta{Name: n.Name, ResourceVersion: n.ResourceVersion},
		Spec:       corev1.NodeSpec{PodCIDRs: n.Spec.PodCIDRs},
		Status: corev1.NodeStatus{
			Addresses: slices.DeleteFunc(n.Status.Addresses, func(a corev1.NodeAddress) bool { return a.Type != corev1.NodeInternalIP }),
			Conditions: slices.DeleteFunc(n.Status.Conditions, func(c corev1.NodeCondition) bool {
				return c.Type != corev1.NodeNetworkUnavailable || c.Status != corev1.ConditionTrue
			}),
		},
	}
}

// follow keeps a copy of all nodes, trimmed, until ctx ends, and calls changed after each change that
// matters here. A node's own report, each five minutes, is none.
func (c *cluster) follow(ctx context.Context, changed func()) (nodes cache.Store, synced func() bool) {
	store, controller := cache.NewInformerWithOptions(cache.InformerOptions{
		ListerWatcher: &cache.ListWatch{ListWithContextFunc: c.list, WatchFuncWithContext: c.watch},
		ObjectType:    &corev1.Node{},
		Transform: func(o any) (any, error) {
			if n, is := o.(*corev1.Node); is {
				return trimmed(n), nil
			}
			return o, nil // the end of a node that was missed
		},
		Handler: cache.ResourceEventHandlerFuncs{
			AddFunc:    func(any) { changed() },
			DeleteFunc: func(any) { changed() },
			UpdateFunc: func(before, after any) {
				a, b := before.(*corev1.Node), after.(*corev1.Node)
				if !reflect.DeepEqual(a.Spec, b.Spec) || !reflect.DeepEqual(a.Status, b.Status) {
					changed()
				}
			},
		},
	})
	go controller.RunWithContext(ctx)
	return store, controller.HasSynced
}

// list reads all nodes in pages, and keeps of each page what is needed.
func (c *cluster) list(ctx context.Context, o metav1.ListOptions) (runtime.Object, error) {
	all := &corev1.NodeList{}
	for o.Limit, o.ResourceVersion, o.ResourceVersionMatch = pageSize, "", ""; ; o.Continue = all.Continue {
		page := &corev1.NodeList{}
		if err := c.client.Get().Resource("nodes").VersionedParams(&o, c.codec).Do(ctx).Into(page); err != nil {
			return nil, fmt.Errorf("nodes: list: %w", err)
		}
		for i := range page.Items {
			all.Items = append(all.Items, *trimmed(&page.Items[i]))
		}
		if all.ListMeta = page.ListMeta; page.Continue == "" {
			return all, nil
		}
	}
}

func (c *cluster) watch(ctx context.Context, o metav1.ListOptions) (watch.Interface, error) {
	o.Watch = true
	w, err := c.client.Get().Resource("nodes").VersionedParams(&o, c.codec).Watch(ctx)
	if err != nil {
		return nil, fmt.Errorf("nodes: watch: %w", err)
	}
	return w, nil
}

// available takes the condition NetworkUnavailable from the node. Cloud providers set it, and a taint with
// it, until somebody makes routes.
func (c *cluster) available(ctx context.Context, n *corev1.Node) error {
	if len(n.Status.Conditions) == 0 {
		return nil
	}
	now := metav1.NewTime(time.Now())
	patch, err := json.Marshal(map[string]any{"status": map[string]any{"conditions": []corev1.NodeCondition{{
		Type: corev1.NodeNetworkUnavailable, Status: corev1.ConditionFalse, Reason: "BridgeportInstalled",
		Message: "bridgeport made routes to the other nodes", LastHeartbeatTime: now, LastTransitionTime: now,
	}}}})
	if err != nil {
		return err
	}
	if err := c.client.Patch(types.StrategicMergePatchType).Resource("nodes").Name(n.Name).SubResource("status").Body(patch).Do(ctx).Error(); err != nil {
		return fmt.Errorf("node %s: condition NetworkUnavailable: %w", n.Name, err)
	}
	return nil
}
