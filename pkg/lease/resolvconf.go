package lease

import (
	"os"
	"strings"

	"github.com/containernetworking/cni/pkg/types"
)

// maxResolvConf is more than any resolv.conf holds, in bytes.
const maxResolvConf = 1 << 20

// readResolvConf reads a resolv.conf(5) as glibc does (res_init.c): keywords and comments
// begin a line, and the last of several search or domain lines counts.
func readResolvConf(path string) (types.DNS, error) {
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
