package differential

import (
	"encoding/json"
	"fmt"
	"maps"
	"net"
	"regexp"
	"slices"
	"strings"

	"github.com/bridgeport-cni/bridgeport/test/snapshot"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/vishvananda/netlink"
)

// facts are what was observed on one side: "container 1 link eth0 mtu" is "1500".
type facts map[string]string

// words are the fields of the oracle's lines. Each field is a fact of its own, so
// that a difference that is meant hides no other one beside it.
var words = map[string][]string{
	"link": {
		"kind", "mac", "mtu", "flags", "master", "peer", "alias", "altname", "qdisc", "txqlen", "group",
		"promiscuity", "protodown", "link-mode", "options", "port",
	},
	"addr":  {"scope", "flags", "label", "peer", "broadcast", "lifetime"},
	"route": {"type", "via", "src", "scope", "proto", "iif", "flags", "tos", "mtu", "advmss", "nexthop"},
}

// of are the facts whose keys begin with one of these and a number, if any is given.
func (f facts) of(begins ...string) (facts, error) {
	some := make(facts)
	for key, value := range f {
		for _, b := range begins {
			if rest, ok := strings.CutPrefix(key, b); ok && (b == "" || len(rest) == 1) {
				some[key] = value
			}
		}
	}
	return some, nil
}

// take adds the state of a namespace and of directories.
func (f facts) take(where string, space *stage.Space, dirs ...string) error {
	state, err := snapshot.Take(space.NS, dirs...)
	if err != nil {
		return fmt.Errorf("%s: %w", where, err)
	}
	for key, text := range state {
		kind, _, _ := strings.Cut(key, " ")
		names, known := words[kind]
		if !known || strings.Contains(text, "\n") {
			f[where+" "+key] = text
			continue
		}
		f[where+" "+key] = exists
		for name, value := range fields(text, names) {
			f[where+" "+key+field+name] = value
		}
	}
	return nil
}

// fields cuts "kind veth mac 02:..." at the known words; options "a=1,b=2" become
// fields of their own.
func fields(text string, names []string) map[string]string {
	list := make(map[string]string)
	name := ""
	for word := range strings.SplitSeq(text, " ") {
		if slices.Contains(names, word) {
			name = word
			continue
		}
		list[name] = strings.TrimSpace(list[name] + " " + word)
	}
	for _, name := range []string{"options", "port"} {
		for option := range strings.SplitSeq(list[name], ",") {
			if key, value, ok := strings.Cut(option, "="); ok {
				list[name+" "+key] = value
			}
		}
		delete(list, name)
	}
	return list
}

// result adds the values of a JSON document by their paths.
func (f facts) result(where string, stdout []byte) {
	var doc any
	if err := json.Unmarshal(stdout, &doc); err != nil {
		f[where] = "no JSON: " + string(stdout)
		return
	}
	f.flatten(where, " ", doc)
}

func (f facts) flatten(path, separator string, v any) {
	switch v := v.(type) {
	case object:
		for key, below := range v {
			f.flatten(path+separator+key, ".", below)
		}
	case []any:
		for i, below := range v {
			f.flatten(fmt.Sprintf("%s[%d]", path, i), ".", below)
		}
		f[path+".length"] = fmt.Sprint(len(v))
	default:
		f[path] = fmt.Sprint(v)
	}
}

var (
	// linkLocal are addresses that the kernel made of a link's MAC at some time.
	linkLocal = regexp.MustCompile(`fe80::[0-9a-f]+:[0-9a-f:]+`)
	// bridgeLocal are the bridge's link-local address, after rename, and the routes that come with it.
	bridgeLocal = regexp.MustCompile(` host (addr (lan0|cni0) fe80::MAC/|route table \d+ (fe80::/64|fe80::MAC/128|ff00::/8) dev (lan0|cni0) )`)
	// learned are options 38 and 41 of a bridge port, counts of the multicast groups
	// that the bridge has seen hosts join (IFLA_BRPORT_MCAST_EHT_HOSTS_CNT, _N_GROUPS).
	learned = regexp.MustCompile(field + `port option0(38|41)$`)
)

// rename replaces in keys and values what each side chooses for itself. The longest
// go first: one name may begin another.
func (f facts) rename(names map[string]string) facts {
	var pairs []string
	for _, from := range slices.SortedFunc(maps.Keys(names), func(a, b string) int {
		if n := len(b) - len(a); n != 0 {
			return n
		}
		return strings.Compare(a, b)
	}) {
		pairs = append(pairs, from, names[from])
	}
	r := strings.NewReplacer(pairs...)
	shared := func(text string) string { return linkLocal.ReplaceAllString(r.Replace(text), "fe80::MAC") }
	out := make(facts, len(f))
	for key, value := range f {
		if !learned.MatchString(key) {
			out[shared(key)] = shared(value)
		}
	}
	return out
}

// ends finds the link's ends: the container's MAC, and the host's name and MAC.
func ends(host, container *stage.Space) (inside net.HardwareAddr, name string, outside net.HardwareAddr, err error) {
	var index int
	err = container.Do(func() error {
		link, err := netlink.LinkByName(ifName)
		if err == nil {
			inside, index = link.Attrs().HardwareAddr, link.Attrs().ParentIndex
		}
		return err
	})
	if err != nil {
		return nil, "", nil, err
	}
	err = host.Do(func() error {
		link, err := netlink.LinkByIndex(index)
		if err == nil {
			name, outside = link.Attrs().Name, link.Attrs().HardwareAddr
		}
		return err
	})
	return inside, name, outside, err
}

// macOf is the MAC of a link that may be missing.
func macOf(space *stage.Space, name string) (mac net.HardwareAddr) {
	_ = space.Do(func() error { // missing: nothing to rename
		link, err := netlink.LinkByName(name)
		if err == nil {
			mac = link.Attrs().HardwareAddr
		}
		return err
	})
	return mac
}

// followsAddress knows our addresses, which are all in 10.0.0.0/8: the reference's
// random ones begin with 0a:58 once in a while, too.
var followsAddress = regexp.MustCompile(`^0a:58:0a(:[0-9a-f]{2}){3}$`)

// macText stands for a container's MAC: the one that was asked for as it is, one
// that follows from an IPv4 address as that, any other as free.
func macText(mac net.HardwareAddr) string {
	switch text := mac.String(); {
	case text == givenMAC:
		return text
	case followsAddress.MatchString(text):
		return "0a:58 and " + net.IP(mac[2:]).String()
	}
	return "free"
}
