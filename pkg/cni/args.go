package cni

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Args is CNI_ARGS: pairs K=V with ';' between them.
type Args map[string]string

// knownArgs are the keys that any plugin of ours reads. The other plugins accept them.
var knownArgs = []string{
	"IgnoreUnknown", "MAC", "IP",
	"K8S_POD_NAMESPACE", "K8S_POD_NAME", "K8S_POD_UID", "K8S_POD_INFRA_CONTAINER_ID",
}

// parseArgs parses CNI_ARGS. Keys are case-sensitive. A key that no plugin of ours reads is an
// error, unless IgnoreUnknown is 1 or true. With an error it also returns what could be parsed.
func parseArgs(s string) (Args, error) {
	args := make(Args)
	if s == "" {
		return args, nil
	}
	var bad error
	for _, pair := range strings.Split(s, ";") {
		k, v, ok := strings.Cut(pair, "=")
		if !ok || k == "" {
			bad = cmp.Or(bad, fmt.Errorf("%q is not of the form KEY=VALUE", pair))
			continue
		}
		args[k] = v
	}
	if bad != nil || truth(args["IgnoreUnknown"]) {
		return args, bad
	}
	for _, k := range slices.Sorted(maps.Keys(args)) {
		if !slices.Contains(knownArgs, k) {
			return args, fmt.Errorf("unknown key %q: remove it or add IgnoreUnknown=1", k)
		}
	}
	return args, nil
}

// Pod is "namespace/name" of the Kubernetes pod, "" where the runtime names none.
func (a Args) Pod() string {
	if a["K8S_POD_NAME"] == "" {
		return ""
	}
	return a["K8S_POD_NAMESPACE"] + "/" + a["K8S_POD_NAME"]
}
