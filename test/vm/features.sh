#!/usr/bin/env bash
# Says which kernel this is and tries each feature that tests of this repository count
# on but a kernel may lack; fails if one is missing. Runs in a guest: it leaves links.
set -uo pipefail
missing=0

has() { # has NAME COMMAND...
	local name=$1 said
	shift
	if said=$("$@" 2>&1); then echo "  $name"; else echo "  $name is MISSING: $said" && missing=1; fi
}

vlan_filtering() {
	ip link add feature0 type bridge vlan_filtering 1 && ip link add feature1 type dummy &&
		ip link set feature1 master feature0 && bridge vlan add dev feature1 vid 100 pvid untagged
}
sctp() { perl -MSocket -e 'socket(S, PF_INET, SOCK_STREAM, 132) && listen(S, 1) or die $!'; }
br_netfilter() { modprobe br_netfilter && cat /proc/sys/net/bridge/bridge-nf-call-iptables; }

echo "Linux $(uname -r) has:"
has dummy ip link add feature2 type dummy
has vlan_filtering vlan_filtering
has sctp sctp
has br_netfilter br_netfilter
exit $missing
