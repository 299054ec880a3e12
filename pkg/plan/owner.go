package plan

import (
	"crypto/sha256"
	"encoding/hex"
	"net"
	"strings"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/label"
	"github.com/containernetworking/cni/pkg/types"
)

// Owner is the identity of an attachment. All objects of an attachment are named after its
// Owner, so that DEL and GC find them when configuration, lease and namespace are gone.
type Owner struct {
	Network     string
	ContainerID string
	IfName      string
	Pod         string // namespace/name; for people, no part of the identity
}

// OwnerOf is the owner that a request names.
func OwnerOf(req *cni.Request) Owner {
	return Owner{Network: req.Network, ContainerID: req.ContainerID, IfName: req.IfName, Pod: req.Pod}
}

// OwnersOf are the owners of attachments in the list of GC.
func OwnersOf(req *cni.Request, list []types.GCAttachment) []Owner {
	owners := make([]Owner, len(list))
	for i, a := range list {
		owners[i] = Owner{Network: req.Network, ContainerID: a.ContainerID, IfName: a.IfName}
	}
	return owners
}

// Digest joins the parts by a byte that none may hold: different owners make different texts.
func Digest(parts ...string) string {
	sum := sha256.Sum256([]byte(strings.Join(parts, "\x00")))
	return hex.EncodeToString(sum[:])
}

// networkTag is 8 hex digits that stand for the network.
func networkTag(network string) string { return Digest("network", network)[:8] }

func (o Owner) digest() string {
	return Digest("attachment", o.Network, o.ContainerID, o.IfName)
}

// LinkName is the name of the host's end of the veth pair: "veth" and 11 hex digits, the 15
// characters that the kernel allows. Two of a node's 1,000 attachments collide with
// probability 3e-8 (44 bits). Then ADD returns an error.
func (o Owner) LinkName() string { return "veth" + o.digest()[:11] }

// Tag begins aliases and comments: 8 hex digits of the network, '-', and LinkName's digits.
func (o Owner) Tag() string { return networkTag(o.Network) + "-" + o.digest()[:11] }

// Comment is Tag and the names, cut to at most limit bytes. The network's name, for which the tag
// stands, is cut first where the container's ID would be: label.SameContainer needs the ID whole.
func (o Owner) Comment(limit int) string {
	network, rest := o.Network, "/"+o.ContainerID+"/"
	if room := limit - len(o.Tag()+" "+rest+o.IfName); 0 < room && room+len(o.IfName) < len(network) {
		network = network[:room]
	}
	s := o.Tag() + " " + network + rest + o.IfName
	if o.Pod != "" {
		s += " pod " + o.Pod
	}
	return printable(s, limit)
}

// printable replaces characters that could confuse a terminal or nft's parser. cni.Read checks
// names, but not a pod's name, which comes from CNI_ARGS.
func printable(s string, limit int) string {
	clean := strings.Map(func(r rune) rune {
		if r < ' ' || r > '~' || r == '"' || r == '\\' {
			return '?'
		}
		return r
	}, s)
	return clean[:min(len(clean), limit)]
}

// HardwareAddr is a local unicast address (IEEE 802, bits 1 and 0 of byte 0) from a digest.
func HardwareAddr(parts ...string) net.HardwareAddr {
	raw, _ := hex.DecodeString(Digest(parts...)[:12]) // hex of our own making
	raw[0] = raw[0]&^1 | 2
	return raw
}

// HostMAC is the address of the host's end of the veth pair.
func (o Owner) HostMAC() net.HardwareAddr {
	return HardwareAddr("host end", o.Network, o.ContainerID, o.IfName)
}

// ContainerMAC is the address of the container's end. It follows from the first IP address
// where there is one. So neighbour caches stay right when the address is leased again, and no
// announcement can come too late. The prefix 0a:58 is kubenet's.
func (o Owner) ContainerMAC(ip net.IP) net.HardwareAddr {
	if v4 := ip.To4(); v4 != nil {
		return net.HardwareAddr{0x0a, 0x58, v4[0], v4[1], v4[2], v4[3]}
	}
	if len(ip) > 0 {
		return HardwareAddr("address", ip.String())
	}
	return HardwareAddr("container end", o.Network, o.ContainerID, o.IfName)
}

// OfNetwork says whether a tag is of an attachment of the network.
func OfNetwork(tag, network string) bool { return label.OfNetwork(tag, networkTag(network)) }
