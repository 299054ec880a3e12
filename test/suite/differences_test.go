package suite

// difference is why tests of the reference fail with our plugins on purpose.
type difference struct {
	test string // regular expression of the test's name and, behind ": ", of the failure's message
	why  string
	// sometimes says that a slow machine may not show it.
	sometimes bool
}

var bridgeDiffers = []difference{
	{test: `checks ip release in case of error`, why: "the test sets a variable in the reference's process, to make ADD fail"},
	{test: `ipMasqBackend ""`, why: "rules of nftables are the default, whether iptables is installed or not"},
	{test: `ipMasqBackend "nftables"`, why: "the rules are in table inet bridgeport"},
	{test: `configures mac spoof-check`, why: "the rules are in table bridge bridgeport"},
	{test: `\[0\.[12]\.0\].* result: convert to cniVersion 0\.[12]\.0: cannot convert: no valid IP addresses`, why: "an error begins with what failed"},
	{test: `should set the container veth peer state down.*Addr`, why: "the container's link is down from the beginning, so the bridge never has a carrier, and no link-local IPv6 address", sometimes: true},
	{test: `\[0\.[12]\.0\] \(3\).*: Expected an error, got nil`, why: "ADD refuses two addresses of a family in such an old version; DEL refuses nothing that a retry can't help"},
}

var hostLocalDiffers = []difference{
	{test: `ignores whitespace in disk files`, why: "the container ID has blanks, which the specification forbids"},
	{test: `releases every reservation when the runtime reports no attachments`, why: "GC without the list of attachments changes nothing; with an empty list it releases all"},
	{test: `leaves the store usable for subsequent allocations`, why: "likewise"},
}

// keys are added to each configuration: without enableIPv6LinkLocal a container of an IPv4 network
// has no link-local IPv6 address, and many tests want one.
const keys = `{"enableIPv6LinkLocal": true}`

// missing is how plugins tell of a kernel without a feature that some tests need.
var missing = []string{"the kernel lacks bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)"}
