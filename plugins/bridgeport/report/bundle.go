package report

import (
	"archive/tar"
	"compress/gzip"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/install"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/doctor"
	"github.com/bridgeport-cni/bridgeport/plugins/bridgeport/node"
)

type part struct {
	name string
	data []byte
}

// Bundle writes what a bug report needs as a tar, compressed by gzip. scrub replaces addresses and names.
func Bundle(w io.Writer, p *doctor.Patient, findings []doctor.Finding, logs []string, scrub bool) error {
	parts := []part{
		{"version.txt", []byte(versions(p))},
		{"attachments.json", encode(p.List)},
		{"networks.json", encode(p.Networks)},
		{"doctor.json", encode(findings)},
		{"links.json", encode(p.Links)},
		{"routes.json", encode(p.Routes)},
		{"leases.json", encode(p.Leases)},
		{"ruleset.txt", []byte(node.Ruleset())},
		{"sysctl.txt", []byte(settings(p))},
	}
	for _, n := range p.Node.Networks {
		parts = append(parts, part{"net.d/" + filepath.Base(n.File), n.Bytes})
		for _, file := range n.DropIns {
			parts = append(parts, part{"net.d/" + n.Name + "/" + filepath.Base(file), last(file)})
		}
	}
	for _, c := range p.Cached {
		parts = append(parts, part{"cache/" + filepath.Base(c.File) + ".json", cacheEntry(c)})
	}
	for _, l := range logs {
		parts = append(parts, part{"log/" + filepath.Base(l), last(l)})
	}
	clean := scrubber(p)
	z := gzip.NewWriter(w)
	t := tar.NewWriter(z)
	for _, f := range parts {
		if scrub {
			f = part{clean(f.name), []byte(clean(string(f.data)))}
		}
		err := t.WriteHeader(&tar.Header{Name: "bridgeport-bundle/" + f.name, Mode: 0o600, Size: int64(len(f.data)), ModTime: time.Now()})
		if err == nil {
			_, err = t.Write(f.data)
		}
		if err != nil {
			return fmt.Errorf("bundle: %w", err)
		}
	}
	return errors.Join(t.Close(), z.Close())
}

// cacheEntry has the configuration as text: it is base64 in the cache, which no scrubber could read.
func cacheEntry(c node.Cached) []byte {
	return encode(map[string]any{
		"network": c.NetworkName, "container": c.ContainerID, "ifName": c.IfName, "netns": c.NetNS, "args": c.CNIArgs,
		"capabilities": c.CapabilityArgs, "config": json.RawMessage(c.Config), "result": c.RawResult,
	})
}

func encode(v any) []byte {
	text, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		return []byte(err.Error())
	}
	return append(text, '\n')
}

func versions(p *doctor.Patient) string {
	var b strings.Builder
	fmt.Fprintf(&b, "bridgeport %s (commit %s)\n", cni.Version, cni.Commit)
	for _, name := range []string{"bridge", "portmap", "host-local"} {
		fmt.Fprintf(&b, "%s: %s\n", name, install.Version(filepath.Join(p.Place.Bin, name)))
	}
	for _, file := range []string{"/proc/version", "/etc/os-release"} {
		data, _ := os.ReadFile(file) // as far as there is any
		b.Write(data)
	}
	return b.String()
}

// settings are the sysctls that decide about forwarding.
func settings(p *doctor.Patient) string {
	keys := []string{
		"net/ipv4/ip_forward", "net/ipv6/conf/all/forwarding", "net/ipv4/conf/all/rp_filter", "net/bridge/bridge-nf-call-iptables",
		"net/bridge/bridge-nf-call-ip6tables", "net/netfilter/nf_conntrack_count", "net/netfilter/nf_conntrack_max",
	}
	for _, l := range p.Links {
		if l.Kind == "bridge" {
			v4, v6 := "net/ipv4/conf/"+l.Name, "net/ipv6/conf/"+l.Name
			keys = append(keys, v4+"/rp_filter", v4+"/route_localnet", v6+"/accept_ra", v6+"/forwarding")
		}
	}
	var b strings.Builder
	for _, k := range keys {
		fmt.Fprintf(&b, "%s = %s\n", strings.ReplaceAll(k, "/", "."), node.Sysctl(k))
	}
	return b.String()
}

// last is the end of a file: a megabyte.
func last(path string) []byte {
	data, err := os.ReadFile(path)
	if err != nil {
		return []byte(err.Error())
	}
	return data[max(0, len(data)-(1<<20)):]
}

// address finds what may be an IPv4, IPv6 or MAC address. Other sub-commands don't wait for it.
var address = sync.OnceValue(func() *regexp.Regexp {
	return regexp.MustCompile(`(?i)\b(?:[0-9a-f]{2}:){5}[0-9a-f]{2}\b|\b(?:\d{1,3}\.){3}\d{1,3}\b|[0-9a-f]{0,4}(?::[0-9a-f]{0,4}){2,7}`)
})

// names replaces those of containers, pods, networks and the host.
func names(p *doctor.Patient) *strings.Replacer {
	words := make(map[string]string)
	name := func(word, kind string) {
		if len(word) > 1 && words[word] == "" {
			words[word] = fmt.Sprintf("%s-%d", kind, len(words)+1)
		}
	}
	for _, a := range p.List {
		name(a.Container, "container")
		if ns, pod, ok := strings.Cut(a.Pod, "/"); ok {
			name(pod, "pod")
			name(ns, "namespace")
		}
	}
	for _, n := range p.Networks {
		name(n.Name, "network")
	}
	host, _ := os.Hostname() // "" is no name
	name(host, "host")
	// Longer words first: one may begin with another.
	var list []string
	for _, word := range slices.SortedFunc(maps.Keys(words), func(a, b string) int { return len(b) - len(a) }) {
		list = append(list, word, words[word])
	}
	return strings.NewReplacer(list...)
}

// scrubber replaces addresses and names, each always by the same word: one still sees what belongs together.
func scrubber(p *doctor.Patient) func(string) string {
	known, seen, count := names(p), make(map[string]string), make(map[string]int)
	replace := func(word string) string {
		kind := "ip4"
		a, err := netip.ParseAddr(word)
		mac, _ := net.ParseMAC(word) // of other lengths is an IPv6 address
		switch {
		case len(mac) == 6:
			kind = "mac"
		case err != nil || a.IsUnspecified() || a.IsLoopback() || a.IsMulticast():
			return word
		case !a.Is4():
			kind = "ip6"
		}
		if seen[word] == "" {
			count[kind]++
			seen[word] = fmt.Sprintf("%s-%d", kind, count[kind])
		}
		return seen[word]
	}
	return func(text string) string { return address().ReplaceAllStringFunc(known.Replace(text), replace) }
}
