package main

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/install"
	apierrors "k8s.io/apimachinery/pkg/api/errors"
)

// The init container waits for what comes by itself, up to a minute: kubelet would start it again
// only after 10 seconds, then 20, then 40. One question may take long where packets to the API
// server's address are lost; a connection that began before kube-proxy's rules never follows them.
const (
	patience = time.Minute
	question = 3 * time.Second
	pause    = 500 * time.Millisecond
)

// prepare installs the plugins and writes the configuration list.
func (c *cluster) prepare(ctx context.Context) error {
	if _, err := install.Set(*plugins, *bin); err != nil {
		return err
	}
	ctx, stop := context.WithTimeout(ctx, patience)
	defer stop()
	for said := ""; ; {
		err := c.configure(ctx)
		if err == nil || !passes(err) {
			return err
		}
		if text := err.Error(); text != said {
			fmt.Fprintln(os.Stderr, "installer:", text)
			said = text
		}
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

// configure writes the list from what the API server says of this node.
func (c *cluster) configure(ctx context.Context) error {
	ctx, stop := context.WithTimeout(ctx, question)
	defer stop()
	n, err := c.node(ctx, *own)
	if err != nil {
		return err
	}
	return writeConflist(*form, *conflist, n.Spec.PodCIDRs)
}

// passes says whether an error goes by itself when a node or a cluster starts: the API server can't
// be reached or is not ready, or nobody has given the node its podCIDRs yet.
func passes(err error) bool {
	var status apierrors.APIStatus
	if errors.As(err, &status) {
		code := status.Status().Code
		return code >= http.StatusInternalServerError || code == http.StatusTooManyRequests
	}
	var unreached *url.Error
	return errors.As(err, &unreached) || errors.Is(err, context.DeadlineExceeded) || errors.Is(err, errNoPodCIDRs)
}
