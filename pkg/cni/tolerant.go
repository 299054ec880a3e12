package cni

import (
	"encoding/json"
	"net/netip"
	"slices"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// Tolerant is the part of a configuration that DEL needs, read leniently. A field that can't
// be read is empty. DEL finds objects without it by the owner.
type Tolerant struct {
	IPAM         string            // the IPAM plugin's name; "" for layer 2 only
	DataDir      string            // of host-local, as it came
	Addrs        []netip.Prefix    // of the previous result, as Addresses chooses them
	PortMappings []json.RawMessage // of runtimeConfig
}

type tolerated struct {
	IPAM struct {
		Type    string `json:"type"`
		DataDir string `json:"dataDir"`
	} `json:"ipam"`
	Prev struct {
		Interfaces []*current.Interface `json:"interfaces"`
		IPs        []struct {
			Address   string `json:"address"`
			Interface *int   `json:"interface"`
		} `json:"ips"`
		IP4 oldIP `json:"ip4"`
		IP6 oldIP `json:"ip6"`
	} `json:"prevResult"`
	RuntimeConfig struct {
		PortMappings []json.RawMessage `json:"portMappings"`
	} `json:"runtimeConfig"`
}

type oldIP struct {
	Address string `json:"ip"`
}

// Tolerant reads Config leniently, once. It never fails.
func (req *Request) Tolerant() *Tolerant {
	if req.tolerant != nil {
		return req.tolerant
	}
	var w tolerated
	_ = req.Decode(&w)
	res := &current.Result{Interfaces: w.Prev.Interfaces}
	add := func(text string, index *int) {
		if n, err := types.ParseCIDR(text); err == nil {
			res.IPs = append(res.IPs, &current.IPConfig{Address: *n, Interface: index})
		}
	}
	for _, ip := range w.Prev.IPs {
		add(ip.Address, ip.Interface)
	}
	add(w.Prev.IP4.Address, nil)
	add(w.Prev.IP6.Address, nil)
	req.tolerant = &Tolerant{
		IPAM: w.IPAM.Type, DataDir: w.IPAM.DataDir,
		Addrs: Addresses(res, req.IfName), PortMappings: w.RuntimeConfig.PortMappings,
	}
	return req.tolerant
}

// Valid is GC's list of the attachments that stay. Where it is not present GC changes nothing.
// libcni sends an empty list as null. An error carries CodeDecode.
func (req *Request) Valid() (list []types.GCAttachment, present bool, err error) {
	var w struct {
		Valid json.RawMessage `json:"cni.dev/valid-attachments"`
	}
	if err := req.Decode(&w); err != nil || w.Valid == nil {
		return nil, false, err
	}
	err = inWords(place{{key: "cni.dev/valid-attachments"}}, json.Unmarshal(w.Valid, &list))
	if err == nil && slices.ContainsFunc(list, func(a types.GCAttachment) bool { return a.ContainerID == "" }) {
		err = Errorf(CodeDecode, "cni.dev/valid-attachments: an entry names no container: a list that names nobody would remove everybody")
	}
	return list, true, err
}
