#!/usr/bin/env bash
# packages.sh DIRECTORY: installs the packages of DIRECTORY beside those that own files of the same
# names, in all orders, and takes them away again (as root). Everything happens in an overlay over
# the machine's root, in namespaces of its own: the machine's packages stay as they are.
set -euo pipefail
if [[ ${1:-} != --inside && ${1:-} != --alone ]]; then
	root=$(mktemp -d)
	trap 'rmdir "$root"' EXIT # the mounts end with their namespace
	unshare --mount --pid --fork --kill-child bash -euc '
		mount -t tmpfs tmpfs "$1"
		mkdir "$1"/{upper,work,all}
		mount -t overlay overlay -o "lowerdir=/,upperdir=$1/upper,workdir=$1/work" "$1/all"
		mount --rbind /dev "$1/all/dev"
		mount -t proc proc "$1/all/proc"
		mount -t tmpfs tmpfs "$1/all/tmp"
		mount -t tmpfs tmpfs "$1/all/run"
		rm -f "$1/all/etc/resolv.conf"
		cp -L /etc/resolv.conf "$1/all/etc/"
		cp "$2"/*.deb "$2"/*.rpm "$2"/SHA256SUMS* "$3" "$1/all/tmp/"
		exec chroot "$1/all" bash /tmp/packages.sh --inside
	' - "$root" "$1" "$(realpath "$0")"
	exit
fi

cd /tmp
export DEBIAN_FRONTEND=noninteractive LC_ALL=C
names="bridge portmap host-local loopback"
checks=0

die() { echo "packages: $*" >&2; exit 1; }
ok() { checks=$((checks + 1)); }
does() { "$@" > log 2>&1 || { cat log >&2; die "failed: $*"; }; }

# add and drop are what an operator does; purge leaves nothing of a package.
add() { does dpkg --install "$@"; }
drop() { does dpkg --remove "$@"; }
purge() { does dpkg --purge "$@"; }

# ours DIR: the plugins there are ours, and say so.
ours() {
	local name
	for name in $names; do
		cmp -s /usr/lib/bridgeport/bridge "$1/$name" || die "$1/$name: is not ours"
		[[ $("$1/$name" --version) == "bridgeport $name plugin "* ]] || die "$1/$name: does not say that it is ours"
	done
	ok
}

# state DIR: names, types, owners, modes, times and contents.
state() { (cd "$1" && find . -mindepth 1 -printf '%p %y %u:%g %m %Ts\n' | sort && find . -type f -exec sha256sum {} + | sort); }

# unpacked FILE: what a package has, in unpacked/FILE.
unpacked() {
	[[ ! -e unpacked/$1 ]] || return 0
	mkdir -p "unpacked/$1"
	dpkg-deb -x "$1" "unpacked/$1"
	(cd "unpacked/$1" && state "$(find . -name bridge -printf '%h')") > state
	mv state "unpacked/$1"
}

# theirs PACKAGE DIR FILE: the directory is byte for byte what their package's file has.
theirs() {
	unpacked "$3"
	diff "unpacked/$3/state" <(state "$2") || die "$2: is not as $3 has it"
	[[ -z $(dpkg --verify "$1") ]] || die "$1: dpkg --verify: $(dpkg --verify "$1")"
	nothing
}

# nothing of ours is left.
nothing() {
	[[ -z $(dpkg-divert --list | grep bridgeport) ]] || die "left: $(dpkg-divert --list | grep bridgeport)"
	[[ -z $(find /opt/cni /usr/lib/cni /usr/lib/bridgeport /usr/bin/bridgeport -name '*bridgeport*' 2> /dev/null) ]] || die "files of ours are left"
	ok
}

# rest DIR FILE: their files of other names are as their package has them.
rest() {
	unpacked "$2"
	local file
	for file in $(cd "unpacked/$2$1" && ls); do
		[[ " $names " == *" $file "* ]] || cmp "unpacked/$2$1/$file" "$1/$file" || die "$1/$file: has changed"
	done
	ok
}

# watch DIR notes each moment at which a name is no executable, until the package is purged.
watch() {
	: > missing
	(
		while [[ ! -e watched ]]; do
			for name in $names; do [[ -x $1/$name ]] || echo "$1/$name" >> missing; done
			sleep 0.001
		done
	) &
	watcher=$!
}
watched() {
	touch watched
	wait "$watcher"
	rm watched
	[[ ! -s missing ]] || die "for a moment there was no $(sort missing | uniq -c)"
	ok
}

# repack FILE VERSION OUT CHANGED: the package with another version, and bytes behind those of one file.
repack() {
	rm -rf other
	dpkg-deb -R "$1" other
	sed -i "s/^Version: .*/Version: $2/" other/DEBIAN/control
	echo "# $2" >> "other$4"
	rm -f other/DEBIAN/conffiles # an empty line of nfpm's, which dpkg-deb refuses
	(cd other && find . -type f -not -path './DEBIAN/*' -printf '%P\0' | xargs -0 md5sum > DEBIAN/md5sums)
	does dpkg-deb -Znone --root-owner-group -b other "$3"
}

# kubernetes_cni VERSION: a stand-in with the files of the package that kubelet depends on.
kubernetes_cni() {
	rm -rf k8s
	mkdir -p k8s/opt/cni/bin k8s/DEBIAN
	local name
	for name in bandwidth bridge dhcp dummy firewall host-device host-local ipvlan loopback macvlan portmap ptp sbr static tap tuning vlan vrf; do
		printf '#!/bin/sh\necho CNI %s plugin v%s\n' "$name" "$1" > "k8s/opt/cni/bin/$name"
	done
	chmod 755 k8s/opt/cni/bin/*
	echo license > k8s/opt/cni/bin/LICENSE
	echo readme > k8s/opt/cni/bin/README.md
	printf 'Package: kubernetes-cni\nVersion: %s-1.1\nArchitecture: all\nMaintainer: nobody <nobody@localhost>\nDescription: stand-in\n' "$1" > k8s/DEBIAN/control
	(cd k8s && md5sum opt/cni/bin/* > DEBIAN/md5sums)
	find k8s -exec touch -d @1600000000 {} +
	does dpkg-deb -Znone --root-owner-group -b k8s kubernetes-cni_1.deb
	repack kubernetes-cni_1.deb 9.9-1 kubernetes-cni_2.deb /opt/cni/bin/bridge
}

# orders PACKAGE DIR END…: its first and its second version with ours, in all orders, and each
# time with one of the ends drop and purge.
orders() {
	local package=$1 dir=$2 one=$1_1.deb two=$1_2.deb end
	shift 2
	for end; do
		add "$one" # theirs first, ours later
		watch "$dir"
		add ours_1.deb && ours "$dir" && rest "$dir" "$one"
		"$end" bridgeport && theirs "$package" "$dir" "$one"
		watched
		watch "$dir"
		add ours_1.deb && ours "$dir"
		add "$two" && ours "$dir" && rest "$dir" "$two" # an upgrade of theirs
		add ours_2.deb && ours "$dir" && rest "$dir" "$two" # an upgrade of ours
		"$end" bridgeport && theirs "$package" "$dir" "$two"
		watched
		purge "$package"
		add ours_1.deb && ours "$dir" # ours first, theirs later
		watch "$dir"
		add "$one" && ours "$dir" && rest "$dir" "$one"
		add ours_2.deb && ours "$dir"
		"$end" "$package" && ours "$dir" # theirs goes
		add "$two" && ours "$dir" && rest "$dir" "$two" # and comes again
		"$end" bridgeport && theirs "$package" "$dir" "$two"
		watched
		add ours_2.deb && ours "$dir" # the last that goes leaves nothing
		"$end" "$package" && ours "$dir"
		purge bridgeport && nothing
		[[ ! -e $dir ]] || die "$dir: is left"
	done
	echo "packages: $package in all orders"
}

# unowned: files that no package owns, as of an archive that somebody unpacked there.
unowned() {
	mkdir -p /opt/cni/bin
	echo mine > /opt/cni/bin/bridge
	ln -s bridge /opt/cni/bin/portmap
	chmod 700 /opt/cni/bin/bridge
	state /opt/cni/bin > before
	add ours_1.deb && ours /opt/cni/bin
	purge bridgeport && nothing
	diff before <(state /opt/cni/bin) || die "/opt/cni/bin: is not as it was"
	rm -r /opt/cni
	echo "packages: files that no package owns come back"
}

# faults: the programs that the scripts run fail once, at every third call, at others for each
# step. The operator repeats the step, or gives up.
faults() {
	mkdir faulty
	local program
	for program in dpkg-divert ln mv; do
		printf '#!/bin/sh\necho %s >> /tmp/calls\n[ "$(wc -l < /tmp/calls)" != "$(cat /tmp/at)" ] || exit 1\nexec %s "$@"\n' \
			"$program" "$(command -v "$program")" > "faulty/$program"
	done
	chmod 755 faulty/*
	add kubernetes-cni_1.deb
	local step at begin=0 points=0
	for step in repeated given-up removed; do
		begin=$((begin + 1))
		for ((at = begin; ; at += 3)); do
			if [[ $step == removed ]]; then add ours_2.deb; fi
			echo "$at" > at
			: > calls
			watch /opt/cni/bin
			case $step in
			removed) PATH=/tmp/faulty:$PATH dpkg --remove bridgeport > log 2>&1 || : ;;
			*) PATH=/tmp/faulty:$PATH dpkg --install ours_2.deb > log 2>&1 || : ;;
			esac
			if [[ $step == repeated ]]; then
				does dpkg --configure -a && ours /opt/cni/bin
			fi
			purge bridgeport && theirs kubernetes-cni /opt/cni/bin kubernetes-cni_1.deb
			watched
			(($(wc -l < calls) >= at)) || break
			points=$((points + 1))
		done
	done
	purge kubernetes-cni
	echo "packages: $points calls of the scripts failed, nothing was lost"
}

# layout: the command finds the package's plugins.
layout() {
	add ours_1.deb
	does bridgeport lab up red
	does bridgeport lab down
	for page in /usr/share/man/man1/bridgeport.1.gz /usr/share/bash-completion/completions/bridgeport /usr/share/doc/bridgeport/{copyright,THIRD-PARTY}; do
		[[ -s $page ]] || die "$page: is missing"
	done
	# The removal takes what is ours from the node.
	does nft add table inet bridgeport
	purge bridgeport
	[[ -z $(nft list tables) ]] || die "left: $(nft list tables)"
	ok
}

# few: dpkg knows no other packages than ours and theirs: it would read the lists of them all at
# each call, for seconds.
few() {
	mv /var/lib/dpkg /var/lib/dpkg.all
	mkdir -p /var/lib/dpkg/{info,updates,triggers}
	touch /var/lib/dpkg/status
	echo force-depends > /etc/dpkg/dpkg.cfg.d/few
	rm -rf /opt/cni /usr/lib/cni /usr/lib/bridgeport # of the overlay
}

# podman: apt sees no conflict with what podman depends on and recommends.
podman() {
	does apt-get -s install ./ours_1.deb podman
	grep -q '^Inst bridgeport' log && grep -q '^Inst containernetworking-plugins' log || { cat log; die "apt leaves out one of both"; }
	if grep '^Remv' log; then die "apt would remove packages"; fi
	ok
	echo "packages: apt installs podman and containernetworking-plugins beside ours"
}

# rpm: a root of its own; no file is in a directory where others have theirs.
rpm() {
	local root=/tmp/rpm file
	file=$(ls ./*.rpm)
	! command rpm -qpl "$file" | grep -E '^/(opt|usr/lib/cni|usr/libexec)(/|$)' || die "rpm: takes other packages' names"
	mkdir "$root"
	does command rpm --root "$root" --initdb
	does command rpm --root "$root" --nosignature --install "$file"
	does command rpm --root "$root" --verify bridgeport
	does "$root/usr/bin/bridgeport" --version
	[[ -s $root/usr/share/licenses/bridgeport/THIRD-PARTY ]] || die "rpm: lacks the licences of others"
	[[ $(chroot "$root" /usr/lib/bridgeport/portmap --version) == "bridgeport portmap plugin "* ]] || die "rpm: portmap is not ours"
	does command rpm --root "$root" --nosignature --upgrade --force "$file"
	does command rpm --root "$root" --erase bridgeport
	[[ -z $(find "$root" -name '*bridge*' -not -path "*/var/lib/rpm/*") ]] || die "rpm: left: $(find "$root" -name '*bridge*')"
	ok
	echo "packages: rpm installs, verifies and erases"
}

# signature: another program than the one that signed says that it is right.
signature() {
	does minisign -Vm SHA256SUMS -p SHA256SUMS.pub
	echo >> SHA256SUMS
	if minisign -Vm SHA256SUMS -p SHA256SUMS.pub > log 2>&1; then die "a changed SHA256SUMS has the right signature"; fi
	ok
	echo "packages: signed, and a changed list is refused"
}

if [[ $1 == --inside ]]; then
	does apt-get -q update
	does apt-get -q install -y --no-install-recommends rpm minisign nftables
	does apt-get -q download containernetworking-plugins
	mv containernetworking-plugins_*.deb containernetworking-plugins_1.deb
	repack containernetworking-plugins_1.deb 99 containernetworking-plugins_2.deb /usr/lib/cni/bridge
	kubernetes_cni 1.7.1
	mv bridgeport_*.deb ours_1.deb
	repack ours_1.deb 99 ours_2.deb /usr/lib/bridgeport/bridge
	podman
	exec unshare --net bash "$0" --alone # the package's removal looks at the network
fi
rpm
if [[ -e SHA256SUMS.minisig ]]; then signature; fi
few
orders kubernetes-cni /opt/cni/bin drop purge
orders containernetworking-plugins /usr/lib/cni drop
unowned
faults
layout
echo "packages: $checks checks passed"
