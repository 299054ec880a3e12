package plan

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/cni"
	"github.com/bridgeport-cni/bridgeport/pkg/flock"
	"github.com/bridgeport-cni/bridgeport/pkg/nft"
)

func TestDrift(t *testing.T) {
	d := Compare(LinkKind, "veth veth1")
	if d.Err() != nil {
		t.Error("an error without differences")
	}
	d.Want("mtu", 1500, 1500)
	if d.Err() != nil {
		t.Error("an error for equal values")
	}
	d.Want("mtu", 1500, 1400)
	d.Want("state", "up", "down")
	d.Missing("address", "10.1.0.2/24")
	if got, want := d.Err().Error(), "veth veth1: mtu is 1400, expected 1500, state is down, expected up, address 10.1.0.2/24 is missing"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	var drift Drift
	if !errors.As(d.Err(), &drift) || len(drift) != 3 {
		t.Errorf("got %v", drift)
	}
}

// TestFindings: joined and wrapped errors are taken apart, and what is no finding is one of
// ErrorKind; one object's findings are one sentence.
func TestFindings(t *testing.T) {
	mtu := Finding{Kind: LinkKind, Object: "veth veth1", Field: "mtu", Expected: "1500", Actual: "1400"}
	down := Finding{Kind: LinkKind, Object: "veth veth1", Field: "state", Expected: "up", Actual: "down"}
	chain := Finding{Kind: ChainKind, Object: "chain inet t c", Text: " is missing"}
	err := errors.Join(Drift{mtu, down}, fmt.Errorf("bridge: %w", Drift{chain}), errors.New("no answer"), Drift{chain})
	got := Findings(err)
	if want := (Drift{mtu, down, chain, {Kind: ErrorKind, Text: "no answer"}}); !slices.Equal(got, want) {
		t.Errorf("got %v, want %v", got, want)
	}
	if got, want := got.Error(), "veth veth1: mtu is 1400, expected 1500, state is down, expected up; chain inet t c is missing; no answer"; got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if Findings(nil) != nil {
		t.Error("findings of nothing")
	}
}

// TestCoded: what could not be asked is no difference, and a lock that was held is worth a retry.
func TestCoded(t *testing.T) {
	drift, refused := Drift{{Kind: LinkKind, Object: "veth x"}}, errors.New("open: too many open files")
	held := fmt.Errorf("firewall: %w", flock.ErrTimeout)
	for _, tt := range []struct {
		err  error
		want uint
	}{
		{drift, cni.CodeDrift},
		{fmt.Errorf("why: %w", errors.Join(refused, drift)), cni.CodeDrift},
		{refused, cni.CodeKernel},
		{errors.Join(refused, held), cni.CodeTryLater},
		{errors.Join(held, ErrConflict), cni.CodeConflict},
		{fmt.Errorf("ipMasq: %w", nft.ErrUnsupported), cni.CodeNotReady},
		{cni.Errorf(cni.CodeIO, "leases: %w", refused), cni.CodeIO},
	} {
		if got := cni.Code(Coded(tt.err)); got != tt.want {
			t.Errorf("%v: code %d, want %d", tt.err, got, tt.want)
		}
	}
	if Coded(nil) != nil {
		t.Error("nil is an error")
	}
}
