package lease

import (
	"cmp"
	"fmt"
	"net/netip"
	"os"
	"path/filepath"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/containernetworking/cni/pkg/types"
)

// DefaultDataDir is where leases are without dataDir, those of the reference, too.
const DefaultDataDir = "/var/lib/cni/networks"

// Conf is the configuration, parsed and valid.
type Conf struct {
	Sets      []RangeSet // one address is taken from each
	Routes    []*types.Route
	DataDir   string
	DNS       types.DNS
	Requested []netip.Addr // addresses that the runtime or the user asks for
}

type wire struct {
	IPAM *struct {
		Type      string        `json:"type"`
		Ranges    [][]wireRange `json:"ranges"`
		wireRange               // the old style: a single range, put first
		Routes    []wireRoute   `json:"routes"`
		DataDir   string        `json:"dataDir"`
		Resolv    string        `json:"resolvConf"`
	} `json:"ipam"`
	RuntimeConfig struct {
		IPs    []string      `json:"ips"`
		Ranges [][]wireRange `json:"ipRanges"`
	} `json:"runtimeConfig"`
	Args struct {
		CNI struct {
			IPs []string `json:"ips"`
		} `json:"cni"`
	} `json:"args"`
}

type wireRange struct {
	Subnet     string `json:"subnet"`
	RangeStart string `json:"rangeStart"`
	RangeEnd   string `json:"rangeEnd"`
	Gateway    string `json:"gateway"`
}

type wireRoute struct {
	Dst      string `json:"dst"`
	GW       string `json:"gw"`
	MTU      int    `json:"mtu"`
	AdvMSS   int    `json:"advmss"`
	Priority int    `json:"priority"`
	Table    *int   `json:"table"`
	Scope    *int   `json:"scope"`
}

// Parse reads and checks the whole configuration. Errors name the key, the value and the cure.
func Parse(req *cni.Request) (*Conf, error) {
	var w wire
	if err := req.Decode(&w); err != nil {
		return nil, err
	}
	if w.IPAM == nil {
		return nil, cni.Errorf(cni.CodeConfig, "ipam: missing: host-local needs at least {\"ranges\": [[{\"subnet\": \"10.88.0.0/16\"}]]}")
	}
	c := &Conf{DataDir: cmp.Or(w.IPAM.DataDir, DefaultDataDir)}
	if !filepath.IsAbs(c.DataDir) {
		return nil, cni.Errorf(cni.CodeConfig, "ipam.dataDir: %q is not an absolute path", c.DataDir)
	}
	var err error
	if c.Sets, err = w.sets(); err == nil {
		c.Routes, err = routes(w.IPAM.Routes)
	}
	if err == nil {
		c.Requested, err = w.requested(req, c.Sets)
	}
	if err == nil {
		err = onePerFamily(req.CNIVersion, c.Sets)
	}
	if err != nil {
		return nil, cni.WithCode(cni.CodeConfig, err)
	}
	if w.IPAM.Resolv != "" {
		if c.DNS, err = ReadResolvConf(w.IPAM.Resolv); err != nil {
			return nil, cni.Errorf(cni.CodeIO, "ipam.resolvConf: %w", err)
		}
	}
	return c, nil
}

// sets reads all range sets in the reference's order: the runtime's, the old and the new style's.
func (w *wire) sets() ([]RangeSet, error) {
	type named struct {
		key    string
		ranges []wireRange
	}
	var all []named
	for i, r := range w.RuntimeConfig.Ranges {
		all = append(all, named{fmt.Sprintf("runtimeConfig.ipRanges[%d]", i), r})
	}
	if old := w.IPAM.wireRange; old.Subnet != "" {
		all = append(all, named{"ipam", []wireRange{old}})
	} else if old != (wireRange{}) {
		return nil, fmt.Errorf("ipam.subnet: missing, but rangeStart, rangeEnd or gateway stand beside it: put all of them into \"ranges\"")
	}
	for i, r := range w.IPAM.Ranges {
		all = append(all, named{fmt.Sprintf("ipam.ranges[%d]", i), r})
	}
	if len(all) == 0 {
		return nil, fmt.Errorf("ipam.ranges: no range given: add [[{\"subnet\": \"10.88.0.0/16\"}]]")
	}
	var sets []RangeSet
	for _, n := range all {
		set, err := parseSet(n.key, n.ranges)
		if err != nil {
			return nil, err
		}
		for j, other := range sets {
			if other.overlaps(set) {
				return nil, fmt.Errorf("%s: %s overlaps with %s (%s): each address may be in one set only", n.key, set, all[j].key, other)
			}
		}
		sets = append(sets, set)
	}
	return sets, nil
}

func routes(ws []wireRoute) ([]*types.Route, error) {
	var list []*types.Route
	for i, w := range ws {
		key := fmt.Sprintf("ipam.routes[%d]", i)
		dst, err := netip.ParsePrefix(w.Dst)
		if err != nil {
			return nil, fmt.Errorf("%s.dst: %q is not a CIDR such as 0.0.0.0/0", key, w.Dst)
		}
		r := &types.Route{
			Dst: cni.IPNet(dst.Masked()), MTU: w.MTU, AdvMSS: w.AdvMSS,
			Priority: w.Priority, Table: w.Table, Scope: w.Scope,
		}
		if w.GW != "" {
			gw, err := netip.ParseAddr(w.GW)
			if err != nil || gw.Unmap().Is4() != dst.Addr().Is4() {
				return nil, fmt.Errorf("%s.gw: %q is not an address of dst's family", key, w.GW)
			}
			r.GW = gw.AsSlice()
		}
		if err := checkNumbers(key, w); err != nil {
			return nil, err
		}
		list = append(list, r)
	}
	return list, nil
}

func checkNumbers(key string, w wireRoute) error {
	for _, l := range []struct {
		name  string
		value *int
		limit int
	}{
		{"mtu", &w.MTU, 65535},
		{"advmss", &w.AdvMSS, 65535},
		{"priority", &w.Priority, 1<<31 - 1},
		{"table", w.Table, 1<<31 - 1},
		{"scope", w.Scope, 255},
	} {
		if l.value != nil && (*l.value < 0 || *l.value > l.limit) {
			return fmt.Errorf("%s.%s: %d is outside 0-%d", key, l.name, *l.value, l.limit)
		}
	}
	return nil
}

// requested collects the addresses that somebody asks for. The runtime comes before "args",
// and "args" before CNI_ARGS (CONVENTIONS.md of the specification), in each range set:
// nerdctl sends the IPv6 address as the runtime's, and the IPv4 address by CNI_ARGS.
func (w *wire) requested(req *cni.Request, sets []RangeSet) (addrs []netip.Addr, err error) {
	var byArgs []string
	if ip := req.Args["IP"]; ip != "" {
		byArgs = strings.Split(ip, ",")
	}
	for _, source := range []struct {
		key   string
		texts []string
		code  uint
	}{
		{"runtimeConfig.ips", w.RuntimeConfig.IPs, cni.CodeConfig}, {"args.cni.ips", w.Args.CNI.IPs, cni.CodeConfig}, {"CNI_ARGS IP", byArgs, cni.CodeEnv},
	} {
		stronger := slices.Clone(addrs)
		for _, t := range source.texts {
			text, _, _ := strings.Cut(strings.TrimSpace(t), "/") // the subnet's length counts
			a, err := netip.ParseAddr(text)
			if err != nil || a.Zone() != "" {
				return nil, cni.Errorf(source.code, "%s: %q is not an IP address", source.key, t)
			}
			if a = a.Unmap(); !slices.Contains(addrs, a) && !inOneSet(sets, a, stronger) {
				addrs = append(addrs, a)
			}
		}
	}
	return addrs, nil
}

// inOneSet says whether one of the others is in the address' range set.
func inOneSet(sets []RangeSet, a netip.Addr, others []netip.Addr) bool {
	return slices.ContainsFunc(sets, func(s RangeSet) bool { return s.contains(a) && slices.ContainsFunc(others, s.contains) })
}

// DataDir is the directory of leases that a configuration names, which may be wrong
// otherwise. It is "" without an absolute path. Then leases are in DefaultDataDir.
func DataDir(config []byte) string { return namedDir(&cni.Request{Config: config}) }

func namedDir(req *cni.Request) string {
	if dir := req.Tolerant().DataDir; filepath.IsAbs(dir) {
		return dir
	}
	return ""
}

func dataDir(req *cni.Request) string { return cmp.Or(namedDir(req), DefaultDataDir) }

func (c *Conf) inSubnet(a netip.Addr) bool {
	return slices.ContainsFunc(c.Sets, func(s RangeSet) bool { return s.inSubnet(a) })
}

// Wire is the configuration as JSON has it, for tools that need to know its keys.
func Wire() any { return wire{} }

// onePerFamily refuses two sets of a family where results can't hold them (before 0.3.0).
func onePerFamily(version string, sets []RangeSet) error {
	if !strings.HasPrefix(version, "0.1.") && !strings.HasPrefix(version, "0.2.") {
		return nil
	}
	used := make(map[bool]bool)
	for _, s := range sets {
		is4 := s[0].Subnet.Addr().Is4()
		if used[is4] {
			return fmt.Errorf("CNI version %s does not support more than 1 address per family", version)
		}
		used[is4] = true
	}
	return nil
}

// maxResolvConf is more than any resolv.conf holds, in bytes.
const maxResolvConf = 1 << 20

// ReadResolvConf reads a resolv.conf(5) as glibc does (res_init.c): keywords and comments
// begin a line, and the last of several search or domain lines counts.
func ReadResolvConf(path string) (types.DNS, error) {
	if path == os.DevNull { // no regular file, but how people say "none"
		return types.DNS{}, nil
	}
	text, err := readText(path, 0, maxResolvConf)
	return parseResolvConf(text), err
}

func parseResolvConf(text string) types.DNS {
	var dns types.DNS
	for line := range strings.Lines(text) {
		fields := strings.Fields(line)
		if len(fields) < 2 || strings.HasPrefix(line, "#") || strings.HasPrefix(line, ";") {
			continue
		}
		switch fields[0] {
		case "nameserver":
			dns.Nameservers = append(dns.Nameservers, fields[1])
		case "domain":
			dns.Domain = fields[1]
		case "search":
			dns.Search = fields[1:]
		case "options":
			dns.Options = append(dns.Options, fields[1:]...)
		}
	}
	return dns
}
