package firewall

import (
	"strings"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

// TestGuardText: typed into a shell on a fresh host, it works.
func TestGuardText(t *testing.T) {
	text := plan.Plan{Own: []plan.Object{FrameRules{}, SpoofCheck{Owner: world.Owner, MAC: world.Owner.ContainerMAC(nil), IPs: true}}}.String()
	at := 0
	for _, want := range []string{
		"nft add table bridge bridgeport", "nft 'add set bridge bridgeport guarded ", "nft 'add set bridge bridgeport macs ",
		"nft 'add chain bridge bridgeport spoofed ", "nft 'add rule bridge bridgeport spoofed ",
		"nft add chain bridge bridgeport bound-", "nft 'add element bridge bridgeport macs ", "nft 'add element bridge bridgeport bound ",
	} {
		i := strings.Index(text, want)
		if i < at {
			t.Fatalf("%q is missing, or too late, in\n%s", want, text)
		}
		at = i
	}
}
