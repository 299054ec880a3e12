package main

// wayIn is step 5: from the world to a container's published port.
func wayIn(w *world, p *page) bool {
	p.say("blue runs a web server. Who comes to port 80 of the host is sent on to it, from",
		"wherever they come; and blue learns the address of the real client.")
	p.typed("iptables -t nat -A PREROUTING -p tcp --dport 80 -j DNAT --to-destination 192.168.15.2:80")
	server, err := w.blue.Serve("tcp", "0.0.0.0:80")
	if !p.check("blue's web server", "listens on port 80 of blue", err) {
		return true
	}
	// It stays for the next step; it ends with its namespace.
	w.server = server
	p.seen("the outside, at "+uplinkAddr+":80", w.outside, uplinkAddr+":80", outsideAddr)
	p.say("", "That one rule serves only clients from outside. These take a person some more",
		"rules and two settings; a portMappings entry covers them all:")
	p.typed(
		"iptables -t nat -A OUTPUT -p tcp --dport 80 -m addrtype --dst-type LOCAL \\",
		"     -j DNAT --to-destination 192.168.15.2:80",
		"iptables -t nat -A POSTROUTING -s 127.0.0.0/8 -d 192.168.15.2 -j MASQUERADE",
		"sysctl -w net.ipv4.conf.v-net-0.route_localnet=1",
		"iptables -t nat -A POSTROUTING -s 192.168.15.2 -d 192.168.15.2 -j MASQUERADE",
		"bridge link set dev veth-blue-br hairpin on")
	p.seen("the host itself, at 127.0.0.1:80", w.host, "127.0.0.1:80", "")
	p.seen("the host itself, at "+uplinkAddr+":80", w.host, uplinkAddr+":80", "")
	p.seen("red, at "+uplinkAddr+":80", w.red, uplinkAddr+":80", "")
	p.seen("blue, to itself, at "+uplinkAddr+":80", w.blue, uplinkAddr+":80", "")
	return true
}
