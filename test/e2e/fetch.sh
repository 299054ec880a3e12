#!/usr/bin/env bash
# fetch.sh SET...: the programs that end-to-end tests run, into .cache/e2e: Debian
# packages unpacked to debian/ (nothing is installed), programs built from their Go
# modules to bin/. What is there already is not made again.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
cache=${E2E_CACHE:-$here/../../.cache/e2e}
mkdir -p "$cache/debs/partial" "$cache/debian/usr" "$cache/debian/etc" "$cache/bin" "$cache/done"
cache=$(cd "$cache" && pwd)
export GOMODCACHE=$cache/mod GOFLAGS=-buildvcs=false CGO_ENABLED=0 DEBIAN_FRONTEND=noninteractive

# once NAME COMMAND...: tell how long it took, and never do it again.
once() {
	local name=$1 start=$SECONDS
	shift
	[ -e "$cache/done/$name" ] && return
	"$@"
	touch "$cache/done/$name"
	echo "fetch: $name: $((SECONDS - start)) s"
}

# debian PACKAGE...: with what they depend on and this machine lacks.
debian() {
	rm -f "$cache"/debs/*.deb
	apt-get update -qq
	apt-get install -y -qq --download-only --reinstall --no-install-recommends -o Dir::Cache::archives="$cache/debs" "$@" >"$cache/apt.log" 2>&1 ||
		{ cat "$cache/apt.log" >&2; return 1; }
	local deb
	for deb in "$cache"/debs/*.deb; do dpkg-deb -x "$deb" "$cache/unpack"; done
	rm -rf "$cache/unpack/etc/cni" # podman's own network would be on every node
	local dir
	for dir in bin sbin lib lib64; do # into the merged /usr
		if [ -d "$cache/unpack/$dir" ] && [ ! -L "$cache/unpack/$dir" ]; then
			mkdir -p "$cache/unpack/usr/$dir"
			cp -a "$cache/unpack/$dir/." "$cache/unpack/usr/$dir/"
		fi
	done
	for dir in usr etc; do if [ -d "$cache/unpack/$dir" ]; then cp -a "$cache/unpack/$dir/." "$cache/debian/$dir/"; fi; done
	rm -rf "$cache/unpack" "$cache"/debs/*.deb
}

# build MODULE PACKAGE...: into bin/MODULE. LINK has more of what the linker sets.
build() {
	local module=$1
	shift
	mkdir -p "$cache/bin/$module"
	(cd "$here/modules/$module" && nice go build -trimpath -ldflags "-s -w ${LINK:-}" -o "$cache/bin/$module/" "$@")
}

# kubernetes PROGRAM: one that knows its version, which kubeadm compares.
kubernetes() {
	local version variable=k8s.io/component-base/version
	version=$(cd "$here/modules/kubernetes" && go list -m -f '{{.Version}}' k8s.io/kubernetes)
	LINK="-X $variable.gitVersion=$version -X $variable.gitTreeState=clean" build kubernetes "k8s.io/kubernetes/cmd/$1"
}

# base: the Debian packages of kind's own base image, less what storage alone needs, as an
# archive, with the services off that a container has no use for.
base() {
	local sources=/etc/apt/sources.list.d/debian.sources suite
	[ -e $sources ] || sources=/etc/apt/sources.list
	suite=$(. /etc/os-release && echo "$VERSION_CODENAME")
	local off='cd "$1" && rm -f lib/systemd/system/*.target.wants/systemd-tmpfiles-setup.service
		lib/systemd/system/multi-user.target.wants/* etc/systemd/system/*.wants/*
		lib/systemd/system/local-fs.target.wants/* lib/systemd/system/basic.target.wants/*
		lib/systemd/system/sockets.target.wants/*udev* lib/systemd/system/sockets.target.wants/*initctl*'
	# Its own mounts: none of mmdebstrap's stays.
	PATH=$PATH:$cache/debian/usr/bin nice unshare --mount mmdebstrap --mode=root --format=tar --variant=apt --components=main \
		--include=systemd,systemd-sysv,dbus,conntrack,iptables,nftables,iproute2,ethtool,util-linux,mount,kmod,libseccomp2,bash,ca-certificates,curl,jq,procps,runc \
		--dpkgopt='path-exclude=/usr/share/doc/*' --dpkgopt='path-exclude=/usr/share/man/*' --dpkgopt='path-exclude=/usr/share/locale/*' \
		--customize-hook="${off//$'\n\t\t'/ }" \
		"$suite" "$cache/base.tar.new" "$sources" >"$cache/base.log" 2>&1 || { tail -20 "$cache/base.log" >&2; return 1; }
	mv "$cache/base.tar.new" "$cache/base.tar"
}

for set in "$@"; do
	case $set in
	debian-containerd) once "$set" debian containerd runc ;;
	containerd) once "$set" build containerd github.com/containerd/containerd/v2/cmd/{containerd,containerd-shim-runc-v2,ctr} ;;
	crictl) once "$set" build crictl github.com/kubernetes-sigs/cri-tools/cmd/crictl ./podcidr ;;
	etcd) once "$set" debian etcd-server ;;
	kubernetes)
		# One after the other: kubelet alone takes 2 GB of memory to link.
		for program in kube-apiserver kube-controller-manager kube-scheduler kube-proxy kubectl kubelet; do
			once "$program-versioned" kubernetes "$program"
		done
		;;
	kubeadm) once "$set" kubernetes "$set" ;;
	kind) once "$set" build "$set" sigs.k8s.io/kind ;;
	kind-base)
		once mmdebstrap debian mmdebstrap
		once "$set" base
		;;
	docker) once "$set" debian docker.io ;;
	coredns) once "$set" build "$set" . ;;
	etcd-module) once "$set" build etcd go.etcd.io/etcd/server/v3 ;;
	ocicni) build "$set" ./crio ;; # of this repository: it may have changed
	gocni)
		build "$set" ./hook # of this repository: it may have changed
		once gocni-plugins build "$set" github.com/containernetworking/plugins/plugins/meta/{firewall,tuning}
		;;
	podman) once "$set" debian podman runc catatonit ;;
	runc) once "$set" debian runc ;;
	buildkit) once "$set" build buildkit github.com/moby/buildkit/cmd/{buildkitd,buildctl} github.com/containernetworking/plugins/plugins/meta/firewall ;;
	flannel)
		# The plugin's own module can't be had everywhere; this one is of before it moved there.
		once flannel-cni build flannel-cni github.com/containernetworking/plugins/plugins/meta/flannel
		command -v gcc >/dev/null || { apt-get update -qq && apt-get install -y -qq --no-install-recommends gcc libc6-dev; }
		CGO_ENABLED=1 once flannel build flannel github.com/flannel-io/flannel # its UDP backend is in C
		;;
	*) echo "fetch.sh: $set: no such set" >&2; exit 2 ;;
	esac
done
