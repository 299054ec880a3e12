package suite

// difference is why tests of the reference fail with our plugins on purpose.
type difference struct {
	test string // regular expression of the test's name and, behind ": ", of the failure's message
	why  string
}

var bridgeDiffers = []difference{
	{`checks ip release in case of error`, "the test sets a variable in the reference's process, to make ADD fail"},
	{`ipMasqBackend ""`, "rules of nftables are the default, whether iptables is installed or not"},
	{`ipMasqBackend "nftables"`, "the rules are in table inet bridgeport"},
	{`configures mac spoof-check`, "the rules are in table bridge bridgeport"},
	{`\[0\.[12]\.0\].* result: convert to cniVersion 0\.[12]\.0: cannot convert: no valid IP addresses`, "an error begins with what failed"},
	{`should set the container veth peer state down.*Addr`, "the container's link is down from the beginning, so the bridge never has a carrier, and no link-local IPv6 address"},
	{`\[0\.[12]\.0\] \(3\).*: Expected an error, got nil`, "ADD refuses two addresses of a family in such an old version; DEL refuses nothing that a retry can't help"},
}

var hostLocalDiffers = []difference{
	{`ignores whitespace in disk files`, "the container ID has blanks, which the specification forbids"},
	{`releases every reservation when the runtime reports no attachments`, "GC without the list of attachments changes nothing; with an empty list it releases all"},
	{`leaves the store usable for subsequent allocations`, "likewise"},
}

// keys are added to each configuration: without enableIPv6LinkLocal a container of an IPv4 network
// has no link-local IPv6 address, and many tests want one.
const keys = `{"enableIPv6LinkLocal": true}`

// missing is how plugins tell of a kernel without a feature that some tests need.
var missing = []string{"the kernel lacks bridge VLAN filtering (CONFIG_BRIDGE_VLAN_FILTERING)"}
