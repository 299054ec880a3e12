package foreign

import (
	"errors"
	"net/netip"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/label"
	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/vishvananda/netlink"
)

// TestReferenceLink: a veth that another plugin made goes, and the attachment's own under another
// name. Another one of ours stays: its name and its address may be another container's by now.
func TestReferenceLink(t *testing.T) {
	const tag = "482c2e79-00000000001"
	for _, alias := range []string{"", tag + " net/c1/eth0", "482c2e79-00000000000 net/c9/eth0"} {
		world.InWorld(t, func(w world.World) {
			w.Must(netlink.LinkAdd(&netlink.Veth{
				LinkAttrs: netlink.LinkAttrs{Name: "theirs"}, PeerName: "eth0", PeerNamespace: netlink.NsFd(w.Cont.NS.Fd()),
			}))
			if alias != "" {
				w.Must(netlink.LinkSetAlias(w.Link("theirs"), alias))
			}
			addr, err := netlink.ParseAddr("10.88.0.2/16")
			w.Must(err)
			w.Inside("eth0", func(l netlink.Link) error { return netlink.AddrAdd(l, addr) })
			w.Must(ReferenceLink{IfName: "eth0", Tag: tag, Addrs: []netip.Prefix{netip.MustParsePrefix("10.88.0.2/16")}}.Del(w.Session))
			_, err = w.Session.Host.Link("theirs")
			if gone := errors.Is(err, rtnl.ErrNoLink); gone != (alias == "" || label.Same(alias, tag)) {
				t.Errorf("alias %q: gone %t, %v", alias, gone, err)
			}
		})
	}
}
