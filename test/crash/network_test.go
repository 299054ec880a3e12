package crash

import (
	"encoding/json"
	"maps"
)

type conf map[string]any

// with is a copy with other values; nil removes a key.
func (c conf) with(other conf) conf {
	out := maps.Clone(c)
	for k, v := range other {
		if out[k] = v; v == nil {
			delete(out, k)
		}
	}
	return out
}

func (c conf) stdin() []byte {
	text, err := json.Marshal(c)
	if err != nil {
		panic(err) // a slip in this file
	}
	return text
}

const networkName = "crash"

// network is plugins in the order of ADD.
type network struct {
	name    string
	plugins func(dataDir string) []conf
	cold    bool // nobody else is there: what is shared is made and retired, too
	execs   bool // other programs are run: the plugin may die alone
}

func pool(dataDir string) conf {
	return conf{"type": "host-local", "dataDir": dataDir, "ranges": [][]conf{{{"subnet": "10.66.0.0/24"}}, {{"subnet": "fd66::/64"}}}}
}

func bridge(dataDir string) conf {
	return conf{"type": "bridge", "bridge": "crash0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": pool(dataDir)}
}

var iptables = conf{"ipMasqBackend": "iptables", "backend": "iptables"}

// publishing is of the plugin that is handed the ports.
var publishing = conf{"capabilities": conf{"portMappings": true}}

func portmap() conf { return conf{"type": "portmap"}.with(publishing) }

// networks are what the sweeps go through. "one" is bridge that publishes ports itself.
var networks = []network{
	{name: "host-local", plugins: func(d string) []conf { return []conf{{"type": "host-local", "ipam": pool(d)}} }},
	{name: "chain", plugins: func(d string) []conf { return []conf{bridge(d), portmap()} }},
	{name: "chain cold", plugins: func(d string) []conf { return []conf{bridge(d), portmap()} }, cold: true},
	{name: "one", plugins: func(d string) []conf { return []conf{bridge(d).with(publishing).with(conf{"macspoofchk": true})} }},
	{name: "one cold", plugins: func(d string) []conf { return []conf{bridge(d).with(publishing).with(conf{"macspoofchk": true})} }, cold: true},
	{name: "chain iptables", plugins: func(d string) []conf {
		return []conf{bridge(d).with(iptables), portmap().with(iptables)}
	}, execs: true},
	{name: "one iptables cold", plugins: func(d string) []conf { return []conf{bridge(d).with(publishing).with(iptables)} }, cold: true, execs: true},
	{name: "exec ipam", plugins: func(d string) []conf {
		return []conf{bridge(d).with(publishing).with(conf{"ipam": pool(d).with(conf{"type": "another-local"})})}
	}, execs: true},
}

// attachment is one container's place in the network.
type attachment struct {
	id, netns string
	index     int // of its addresses and ports
}

// complete is a plugin's configuration as a runtime hands it over.
func (a attachment) complete(c conf, previous json.RawMessage) conf {
	rt := conf{}
	switch c["type"] {
	case "bridge", "host-local":
		// Always the same ones, so that states can be compared.
		rt["ips"] = []string{addr4(a.index) + "/24", addr6(a.index) + "/64"}
	}
	if capabilities, _ := c["capabilities"].(conf); capabilities["portMappings"] == true {
		rt["portMappings"] = []conf{
			{"hostPort": 8000 + a.index, "containerPort": 80, "protocol": "tcp"},
			{"hostPort": 5300 + a.index, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
		}
	}
	c = c.with(conf{"cniVersion": "1.1.0", "name": networkName, "runtimeConfig": rt})
	if previous != nil {
		c["prevResult"] = previous
	}
	return c
}

// valid is the list that GC is given.
func valid(list ...attachment) []conf {
	out := make([]conf, len(list))
	for i, a := range list {
		out[i] = conf{"containerID": a.id, "ifname": "eth0"}
	}
	return out
}
