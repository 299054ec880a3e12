package link

import (
	"net"
	"reflect"
	"testing"

	"github.com/bridgeport-cni/bridgeport/pkg/plan"
	"github.com/bridgeport-cni/bridgeport/test/world"
)

// TestVethFields: each field of Veth is known to everybody who must know it. Who adds a field
// adds a row, and the row fails where the field was forgotten: in the creating message, in
// that of the peer, in the comparison of either end, in the repair, or in the printed plan.
func TestVethFields(t *testing.T) {
	rows := map[string]func(v *Veth){
		"MTU":      func(v *Veth) { v.MTU = 1400 },
		"MAC":      func(v *Veth) { v.MAC = net.HardwareAddr{2, 0, 0, 0, 0, 9} },
		"Hairpin":  func(v *Veth) { v.Hairpin = true },
		"Isolated": func(v *Veth) { v.Isolated = true },
		"Static":   func(v *Veth) { v.Static = true },
		"Group":    func(v *Veth) { v.Group = 7 },
		"Master":   func(v *Veth) { v.Master = "br1" },
		// IfDown is a link that is left alone: nothing is made, compared or mended.
		"IfDown": nil,
		// These are the attachment's name.
		"Owner": nil, "IfName": nil,
	}
	fields := reflect.TypeFor[Veth]()
	for i := range fields.NumField() {
		if _, ok := rows[fields.Field(i).Name]; !ok {
			t.Errorf("Veth.%s: has no row here", fields.Field(i).Name)
		}
	}
	for name, set := range rows {
		if set == nil {
			continue
		}
		t.Run(name, func(t *testing.T) { testVethField(t, set) })
	}
}

func testVethField(t *testing.T, set func(v *Veth)) {
	t.Helper()
	plain := Veth{Owner: world.Owner, IfName: "eth0", Master: "br0", MTU: 1500, MAC: world.Owner.ContainerMAC(nil)}
	wanted := plain
	set(&wanted)
	if plain.String() == wanted.String() {
		t.Error("the printed plan does not show it")
	}
	bridges := []plan.Object{Bridge{Name: "br0"}, Bridge{Name: "br1"}}
	up := []plan.Object{LinkUp{IfName: "eth0"}, PortReady(world.Owner)}
	world.InWorld(t, func(w world.World) {
		w.Add(append(append(bridges, plain), up...)...)
		if wanted.Check(w.Session) == nil {
			t.Error("CHECK does not notice its absence")
		}
		w.Must(wanted.Mend(w.Session))
		w.WantCheck(wanted, "")
	})
	world.InWorld(t, func(w world.World) {
		w.Add(append(append(bridges, wanted), up...)...)
		w.WantCheck(wanted, "")
	})
}

// TestVethHostEnd: what the host's end was given beside its fields is compared and mended, too.
func TestVethHostEnd(t *testing.T) {
	v := Veth{Owner: world.Owner, IfName: "eth0", Master: "br0", MAC: world.Owner.ContainerMAC(nil)}
	name := world.Owner.LinkName()
	for what, tamper := range map[string]func(w world.World){
		"alias":        func(w world.World) { w.Must(setAlias(w.Session, name, "mine")) },
		"alias gone":   func(w world.World) { w.Must(setAlias(w.Session, name, "")) },
		"disable_ipv6": func(w world.World) { w.Must(w.Sysctls.Write("net/ipv6/conf/"+name+"/disable_ipv6", "0")) },
		"mac":          func(w world.World) { w.SetMAC(name, net.HardwareAddr{2, 0, 0, 0, 0, 9}) },
	} {
		t.Run(what, func(t *testing.T) {
			world.InWorld(t, func(w world.World) {
				w.Add(Bridge{Name: "br0"}, v, LinkUp{IfName: "eth0"}, PortReady(world.Owner))
				w.WantCheck(v, "")
				tamper(w)
				if v.Check(w.Session) == nil {
					t.Error("CHECK does not notice it")
				}
				w.Must(v.Mend(w.Session))
				w.WantCheck(v, "")
			})
		})
	}
}
