package packets_test

// A client is somewhere.
const (
	host       = "the host"
	itself     = "the container itself"
	neighbour  = "a neighbour on the bridge"
	stranger   = "a container on another bridge"
	unmasked   = "a container on a bridge without ipMasq"
	outside    = "the outside"
	farOutside = "the outside behind a router"
)

// It asks for the port by one of the host's addresses.
const (
	uplink   = "the uplink's address" // the one that hostIP names, where it names one
	second   = "another address of the uplink"
	gateway  = "the gateway's address" // the client's own gateway; of the outside: the container's
	loopback = "the loopback address"
)

// And there comes an answer that tells whom the container sees, or none.
const (
	own     = "the client's own address"
	asIs    = "the address that was asked for" // the host took it as its source, too
	bridge  = "the bridge's address"
	silence = "no answer"
	refused = "a refusal" // nothing is published there
)

// br_netfilter hands bridged packets to the host's rules, or not.
const (
	off  = "0"
	on   = "1"
	both = off + on
)

// flag is the configuration of portmap for a column of the table.
type flag struct {
	name   string
	config map[string]any
}

var flags = []flag{
	{"default", nil},
	{"snat false", map[string]any{"snat": false}},
	{"masqAll", map[string]any{"masqAll": true}},
}

// row is one way to a port, and whom the container sees, by flag.
type row struct {
	client      string
	by          []string
	brNetfilter string
	seen        [3]string // default, snat false, masqAll
	onlyIn      string    // a backend and family; "" for all
}

var any3 = []string{uplink, second, gateway}

// table is what users can count on. The last row that fits decides.
var table = []row{
	//                                     default   snat false  masqAll
	{client: host, by: any3, brNetfilter: both, seen: [3]string{asIs, asIs, bridge}},
	{client: host, by: []string{loopback}, brNetfilter: both, seen: [3]string{bridge, silence, bridge}},
	{client: itself, by: any3, brNetfilter: both, seen: [3]string{bridge, silence, bridge}},
	{client: neighbour, by: any3, brNetfilter: off, seen: [3]string{bridge, silence, bridge}},
	{client: neighbour, by: any3, brNetfilter: on, seen: [3]string{bridge, own, bridge}},
	{client: stranger, by: any3, brNetfilter: both, seen: [3]string{bridge, bridge, bridge}},
	{client: unmasked, by: any3, brNetfilter: both, seen: [3]string{own, own, bridge}},
	{client: outside, by: any3, brNetfilter: both, seen: [3]string{own, own, bridge}},
	{client: farOutside, by: any3, brNetfilter: both, seen: [3]string{own, own, bridge}},
	{
		client: host, by: []string{loopback}, brNetfilter: both, seen: [3]string{silence, silence, silence},
		onlyIn: "iptables IPv6",
	},
}

// hostIP is what a mapping may name, and by which addresses it answers then.
type hostIP struct {
	name    string
	v4, v6  string // "" for both is one mapping without hostIP
	answers []string
}

var hostIPs = []hostIP{
	{name: "unset", answers: []string{uplink, second, gateway, loopback}},
	{name: "any", v4: "0.0.0.0", v6: "::", answers: []string{uplink, second, gateway, loopback}},
	{name: "specific", v4: hostV4, v6: hostV6, answers: []string{uplink}},
	{name: "loopback", v4: "127.0.0.1", v6: "::1", answers: []string{loopback}},
}
