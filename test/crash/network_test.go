package crash

import (
	"encoding/json"

	"github.com/bridgeport-cni/bridgeport/test/stage"
)

const networkName = "crash"

// network is plugins in the order of ADD.
type network struct {
	name    string
	plugins func(dataDir string) []stage.Conf
	cold    bool // nobody else is there: what is shared is made and retired, too
	execs   bool // other programs are run: the plugin may die alone
}

func pool(dataDir string) stage.Conf {
	return stage.HostLocal(dataDir, "10.66.0.0/24", "fd66::/64")
}

func bridge(dataDir string) stage.Conf {
	return stage.Conf{"type": "bridge", "bridge": "crash0", "isDefaultGateway": true, "ipMasq": true, "hairpinMode": true, "ipam": pool(dataDir)}
}

var iptables = stage.Conf{"ipMasqBackend": "iptables", "backend": "iptables"}

// publishing is of the plugin that is handed the ports.
var publishing = stage.Conf{"capabilities": stage.Conf{"portMappings": true}}

func portmap() stage.Conf { return stage.Conf{"type": "portmap"}.With(publishing) }

// networks are what the sweeps go through, those that take longest first. "one" is bridge that
// publishes ports itself.
var networks = []network{
	{name: "one iptables cold", plugins: func(d string) []stage.Conf { return []stage.Conf{bridge(d).With(publishing).With(iptables)} }, cold: true, execs: true},
	{name: "chain iptables", plugins: func(d string) []stage.Conf {
		return []stage.Conf{bridge(d).With(iptables), portmap().With(iptables)}
	}, execs: true},
	{name: "exec ipam", plugins: func(d string) []stage.Conf {
		return []stage.Conf{bridge(d).With(publishing).With(stage.Conf{"ipam": pool(d).With(stage.Conf{"type": "another-local"})})}
	}, execs: true},
	{name: "host-local", plugins: func(d string) []stage.Conf { return []stage.Conf{{"type": "host-local", "ipam": pool(d)}} }},
	{name: "chain", plugins: func(d string) []stage.Conf { return []stage.Conf{bridge(d), portmap()} }},
	{name: "chain cold", plugins: func(d string) []stage.Conf { return []stage.Conf{bridge(d), portmap()} }, cold: true},
	{name: "one", plugins: func(d string) []stage.Conf {
		return []stage.Conf{bridge(d).With(publishing).With(stage.Confined())}
	}},
	{name: "one cold", plugins: func(d string) []stage.Conf {
		return []stage.Conf{bridge(d).With(publishing).With(stage.Confined())}
	}, cold: true},
}

// attachment is one container's place in the network.
type attachment struct {
	id, netns string
	index     int // of its addresses and ports
}

// complete is a plugin's configuration as a runtime hands it over.
func (a attachment) complete(c stage.Conf, previous json.RawMessage) stage.Conf {
	rt := stage.Conf{}
	switch c["type"] {
	case "bridge", "host-local":
		// Always the same ones, so that states can be compared.
		rt["ips"] = []string{addr4(a.index) + "/24", addr6(a.index) + "/64"}
	}
	if capabilities, _ := c["capabilities"].(stage.Conf); capabilities["portMappings"] == true {
		rt["portMappings"] = []stage.Conf{
			{"hostPort": 8000 + a.index, "containerPort": 80, "protocol": "tcp"},
			{"hostPort": 5300 + a.index, "containerPort": 53, "protocol": "udp", "hostIP": "127.0.0.1"},
		}
	}
	c = c.With(stage.Conf{"cniVersion": "1.1.0", "name": networkName, "runtimeConfig": rt})
	if previous != nil {
		c["prevResult"] = previous
	}
	return c
}

// valid is the list that GC is given.
func valid(list ...attachment) []stage.Conf {
	out := make([]stage.Conf, len(list))
	for i, a := range list {
		out[i] = stage.Conf{"containerID": a.id, "ifname": "eth0"}
	}
	return out
}
