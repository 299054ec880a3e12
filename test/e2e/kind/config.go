package main

import (
	"os"

	"github.com/bridgeport-cni/bridgeport/test/e2e/kit"
	"sigs.k8s.io/yaml"
)

// additions is laid over conf/kind/cluster.yaml: what a machine wants that has cgroup v1
// (kubelet 1.35 and newer refuse it unless told otherwise), lacks CAP_SYS_RESOURCE (no process
// there may lower its oom_score_adj), or has other work beside the test (kubeadm gives an API
// server a minute).
const additions = `
kubeadmConfigPatches:
- |
  kind: KubeletConfiguration
  metadata: {name: config}
  failCgroupV1: false
  oomScoreAdj: 0
- |
  kind: KubeProxyConfiguration
  metadata: {name: config}
  oomScoreAdj: 0
- |
  kind: InitConfiguration
  timeouts: {kubernetesAPICall: 5m}
- |
  kind: JoinConfiguration
  timeouts: {kubernetesAPICall: 5m}
containerdConfigPatches:
- |
  [plugins."io.containerd.grpc.v1.cri"]
    restrict_oom_score_adj = true
`

// ports are those that the worker publishes on the host, in both families.
const ports = `
- {hostPort: 18080, containerPort: 8080}
- {hostPort: 18080, containerPort: 8080, protocol: UDP}
- {hostPort: 18081, containerPort: 8080, listenAddress: "::"}
- {hostPort: 18081, containerPort: 8080, listenAddress: "::", protocol: UDP}
`

// clusterConfig is conf/kind/cluster.yaml with the additions.
func clusterConfig() (string, error) {
	text, err := os.ReadFile(kit.Repo("conf/kind/cluster.yaml"))
	if err != nil {
		return "", err
	}
	var config, more map[string]any
	var published []any
	for text, into := range map[string]any{string(text): &config, additions: &more, ports: &published} {
		if err := yaml.Unmarshal([]byte(text), into); err != nil {
			return "", err
		}
	}
	for key, value := range more {
		config[key] = value
	}
	for _, node := range config["nodes"].([]any) {
		if node := node.(map[string]any); node["role"] == "worker" {
			node["extraPortMappings"] = published
		}
	}
	text, err = yaml.Marshal(config)
	return string(text), err
}
