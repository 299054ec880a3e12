package cni

import (
	"net"

	"github.com/containernetworking/cni/pkg/types"
	current "github.com/containernetworking/cni/pkg/types/100"
)

// object is a JSON object; encoding/json sorts its keys.
type object map[string]any

// set leaves out what is empty.
func (o object) set(key, value string) {
	if value != "" {
		o[key] = value
	}
}

func (o object) setInt(key string, value int) {
	if value != 0 {
		o[key] = value
	}
}

func (o object) setList(key string, n int, entry func(i int) any) {
	if n == 0 {
		return
	}
	list := make([]any, n)
	for i := range list {
		list[i] = entry(i)
	}
	o[key] = list
}

// newForm says whether results of the version have the form of current.Result.
func newForm(cniVersion string) bool {
	return cniVersion == "1.0.0" || cniVersion == current.ImplementedSpecVersion
}

// resultObject is the result in its new form, which encodes to the library's bytes. The
// library encodes twice and decodes in between, all by types that encoding/json has to prepare
// for: 4 % of an ADD.
func resultObject(r *current.Result, cniVersion string) object {
	o := object{"cniVersion": cniVersion}
	o.setList("interfaces", len(r.Interfaces), func(i int) any {
		l := r.Interfaces[i]
		e := object{"name": l.Name}
		e.set("mac", l.Mac)
		e.setInt("mtu", l.Mtu)
		e.set("sandbox", l.Sandbox)
		e.set("socketPath", l.SocketPath)
		e.set("pciID", l.PciID)
		return e
	})
	o.setList("ips", len(r.IPs), func(i int) any {
		ip := r.IPs[i]
		e := object{"address": ip.Address.String()}
		e.set("gateway", ipText(ip.Gateway))
		if ip.Interface != nil {
			e["interface"] = *ip.Interface
		}
		return e
	})
	o.setList("routes", len(r.Routes), func(i int) any { return routeObject(r.Routes[i]) })
	if d := r.DNS; !d.IsEmpty() {
		e := object{}
		e.setList("nameservers", len(d.Nameservers), func(i int) any { return d.Nameservers[i] })
		e.set("domain", d.Domain)
		e.setList("search", len(d.Search), func(i int) any { return d.Search[i] })
		e.setList("options", len(d.Options), func(i int) any { return d.Options[i] })
		o["dns"] = e
	}
	return o
}

func routeObject(r *types.Route) object {
	e := object{"dst": r.Dst.String()}
	e.set("gw", ipText(r.GW))
	e.setInt("mtu", r.MTU)
	e.setInt("advmss", r.AdvMSS)
	e.setInt("priority", r.Priority)
	if r.Table != nil {
		e["table"] = *r.Table
	}
	if r.Scope != nil {
		e["scope"] = *r.Scope
	}
	return e
}

// ipText is the address, "" for none.
func ipText(ip net.IP) string {
	if len(ip) == 0 {
		return ""
	}
	return ip.String()
}
