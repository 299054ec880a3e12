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

func setList[T, E any](o object, key string, list []T, entry func(T) E) {
	if len(list) == 0 {
		return
	}
	out := make([]E, len(list))
	for i, v := range list {
		out[i] = entry(v)
	}
	o[key] = out
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
	setList(o, "interfaces", r.Interfaces, interfaceObject)
	setList(o, "ips", r.IPs, ipObject)
	setList(o, "routes", r.Routes, routeObject)
	if d := r.DNS; !d.IsEmpty() {
		e, asIs := object{}, func(s string) string { return s }
		setList(e, "nameservers", d.Nameservers, asIs)
		e.set("domain", d.Domain)
		setList(e, "search", d.Search, asIs)
		setList(e, "options", d.Options, asIs)
		o["dns"] = e
	}
	return o
}

func interfaceObject(l *current.Interface) object {
	e := object{"name": l.Name}
	e.set("mac", l.Mac)
	e.setInt("mtu", l.Mtu)
	e.set("sandbox", l.Sandbox)
	e.set("socketPath", l.SocketPath)
	e.set("pciID", l.PciID)
	return e
}

func ipObject(ip *current.IPConfig) object {
	e := object{"address": ip.Address.String()}
	e.set("gateway", ipText(ip.Gateway))
	if ip.Interface != nil {
		e["interface"] = *ip.Interface
	}
	return e
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
