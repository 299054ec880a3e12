package link

import (
	"errors"
	"fmt"
	"testing"
	"time"

	rtnl "github.com/bridgeport-cni/bridgeport/pkg/netlink"
	"github.com/bridgeport-cni/bridgeport/test/stage"
	"github.com/bridgeport-cni/bridgeport/test/world"
	vishvananda "github.com/vishvananda/netlink"
)

// TestPeerAddresses: the kernel counts the namespaces that it knows of from 0. Addresses of other
// links, and of links in the host's own namespace, are not the other end's.
func TestPeerAddresses(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		w.Must(vishvananda.LinkAdd(&vishvananda.Veth{LinkAttrs: vishvananda.LinkAttrs{Name: "here"}, PeerName: "there", PeerNamespace: vishvananda.NsFd(w.NetnsFd())}))
		w.Must(vishvananda.LinkAdd(&vishvananda.Bridge{LinkAttrs: vishvananda.LinkAttrs{Name: "single"}}))
		w.Must(w.Cont.Address("there", "192.0.2.7/24,2001:db8::7/64"))
		w.Must(w.Cont.Address("lo", "192.0.2.8/32"))
		for name, want := range map[string]string{"here": "[192.0.2.7/24 2001:db8::7/64]", "single": "[]"} {
			l, err := w.Host.Link(name)
			w.Must(err)
			got, err := w.Host.PeerAddresses(l)
			if err != nil || fmt.Sprint(got) != want {
				t.Errorf("%s (id %d): got %v, %v, want %s", name, l.PeerNS, got, err, want)
			}
		}
	})
}

// TestPeerAddressesDying: the link of a container that has ended is there for a while. Its other end
// is not, and who asks for that one's addresses is told so, not of an invalid argument.
func TestPeerAddressesDying(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		box := stage.OpenSpace(t, "box")
		w.Must(vishvananda.LinkAdd(&vishvananda.Veth{LinkAttrs: vishvananda.LinkAttrs{Name: "here"}, PeerName: "there", PeerNamespace: vishvananda.NsFd(box.Fd())}))
		w.Must(box.Address("there", "192.0.2.7/24"))
		l, err := w.Host.Link("here")
		w.Must(err)
		w.Must(box.Close())
		// The kernel ends a namespace in its own time.
		for end := time.Now().Add(time.Minute); time.Now().Before(end); time.Sleep(time.Millisecond) {
			got, err := w.Host.PeerAddresses(l)
			if errors.Is(err, rtnl.ErrNoLink) {
				return
			}
			if err != nil {
				t.Fatalf("got %v, %v", got, err)
			}
		}
		t.Error("it lives for a minute")
	})
}
