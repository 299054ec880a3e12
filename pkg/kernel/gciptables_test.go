package kernel

import (
	"errors"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/iptables"
	"github.com/google/nftables"
)

// TestOnlyIfOurs: without iptables programs a table nat that is kube-proxy's is no error.
func TestOnlyIfOurs(t *testing.T) {
	inWorld(t, func(w world) {
		conn, err := nftables.New()
		w.must(err)
		nat := conn.AddTable(&nftables.Table{Name: "nat", Family: nftables.TableFamilyIPv4})
		for _, tt := range []struct {
			chain string
			want  error
		}{{"KUBE-POSTROUTING", nil}, {"CNI-623e1c388032b20529218ecc", iptables.ErrMissing}} {
			conn.AddChain(&nftables.Chain{Name: tt.chain, Table: nat})
			w.must(conn.Flush())
			if err := onlyIfOurs(w.Session, iptables.Family{Variant: "nft"}, iptables.ErrMissing); !errors.Is(err, tt.want) {
				t.Errorf("with %s: %v", tt.chain, err)
			}
		}
	})
}
