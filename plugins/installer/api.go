package main

import (
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"time"
)

// account is where kubelet puts what a pod needs to speak with the API server.
const account = "/var/run/secrets/kubernetes.io/serviceaccount/"

// api is the Kubernetes API server, as a pod reaches it.
type api struct {
	url    string
	client *http.Client
}

// node is a Kubernetes node, as far as it matters here.
type node struct {
	Metadata struct{ Name string }
	Spec     struct{ PodCIDRs []string }
	Status   struct {
		Addresses []struct{ Type, Address string }
	}
}

func newAPI() (*api, error) {
	host, port := os.Getenv("KUBERNETES_SERVICE_HOST"), os.Getenv("KUBERNETES_SERVICE_PORT")
	if host == "" || port == "" {
		return nil, errors.New("KUBERNETES_SERVICE_HOST, KUBERNETES_SERVICE_PORT: not set: this program runs in a pod")
	}
	pem, err := os.ReadFile(account + "ca.crt")
	if err != nil {
		return nil, err
	}
	roots := x509.NewCertPool()
	if !roots.AppendCertsFromPEM(pem) {
		return nil, fmt.Errorf("%sca.crt: holds no certificate", account)
	}
	return &api{
		url: "https://" + net.JoinHostPort(host, port),
		client: &http.Client{
			Timeout:   20 * time.Second,
			Transport: &http.Transport{TLSClientConfig: &tls.Config{RootCAs: roots, MinVersion: tls.VersionTLS12}},
		},
	}, nil
}

// nodes lists the cluster's nodes. The token is read each time: kubelet renews it.
func (a *api) nodes() ([]node, error) {
	token, err := os.ReadFile(account + "token")
	if err != nil {
		return nil, err
	}
	req, err := http.NewRequest(http.MethodGet, a.url+"/api/v1/nodes", nil)
	if err != nil {
		return nil, err
	}
	req.Header.Set("Authorization", "Bearer "+string(token))
	resp, err := a.client.Do(req)
	if err != nil {
		return nil, fmt.Errorf("nodes: list: %w", err)
	}
	defer resp.Body.Close()
	text, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s: %.200s", resp.Status, text)
	}
	if err != nil {
		return nil, fmt.Errorf("nodes: list: %w", err)
	}
	return parseNodes(text)
}

func parseNodes(text []byte) ([]node, error) {
	var list struct{ Items []node }
	if err := json.Unmarshal(text, &list); err != nil {
		return nil, fmt.Errorf("nodes: list: %w", err)
	}
	return list.Items, nil
}
