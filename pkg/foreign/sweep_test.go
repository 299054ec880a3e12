package foreign

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/bridgeport-cni/bridgeport/test/world"
	"github.com/google/nftables"
)

// TestOnlyIfOurs: without iptables programs a table nat that is kube-proxy's is no error.
func TestOnlyIfOurs(t *testing.T) {
	world.InWorld(t, func(w world.World) {
		conn, err := nftables.New()
		w.Must(err)
		nat := conn.AddTable(&nftables.Table{Name: "nat", Family: nftables.TableFamilyIPv4})
		for _, tt := range []struct {
			chain string
			want  error
		}{{"KUBE-POSTROUTING", nil}, {"CNI-623e1c388032b20529218ecc", iptables.ErrMissing}} {
			conn.AddChain(&nftables.Chain{Name: tt.chain, Table: nat})
			w.Must(conn.Flush())
			if err := onlyIfOurs(w.Session, iptables.Family{Variant: "nft"}, iptables.ErrMissing); !errors.Is(err, tt.want) {
				t.Errorf("with %s: %v", tt.chain, err)
			}
		}
	})
}
