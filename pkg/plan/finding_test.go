package plan

import (
	"errors"
	"testing"
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
