#!/usr/bin/env bash
# check.sh VERSION COMMIT: this architecture's release is built twice, to equal bytes;
# unpacked as the reference's archives are, and installed from the Debian package into a
# root of its own, its plugins attach containers (as root). Those of the other architectures
# at least start, under an emulator.
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
own=$(${GO:-go} env GOARCH)
others=$(for arch in $ARCHES; do test "$arch" = "$own" || echo "$arch"; done)
export ARCHES=$own
for turn in one two; do .tools/release/build.sh "$1" "$2" "$dir/$turn"; done
diff -r "$dir/one" "$dir/two"
(cd "$dir/one" && sha256sum --quiet -c ./*.sha256 && sha512sum --quiet -c ./*.sha512)
mkdir "$dir/unpacked"
tar -C "$dir/unpacked" -xzf "$dir"/one/*-"$own"-*.tgz
mkdir -p "$dir"/root/var/lib/dpkg/{info,updates,triggers}
touch "$dir/root/var/lib/dpkg/status"
dpkg --root="$dir/root" --install "$dir"/one/*_"$own".deb
for bin in "$dir/unpacked" "$dir/root/opt/cni/bin"; do
	"$bin/bridge" --version | grep -F "$1"
	BRIDGEPORT_BIN=$bin ${GO:-go} test -count=1 ./test/scenario -ginkgo.focus='sample configuration'
done
"$dir/root/usr/bin/bridgeport" --version
grep -q '"purl": "pkg:golang/github.com/vishvananda/netlink@' "$dir"/one/*.bridge.cdx.json
ARCHES=$others .tools/release/build.sh "$1" "$2" "$dir/others"
for arch in $others; do
	mkdir "$dir/$arch"
	tar -C "$dir/$arch" -xzf "$dir"/others/*-"$arch"-*.tgz
	case $arch in arm64) machine=aarch64 ;; *) machine=$arch ;; esac
	echo '{"cniVersion": "1.0.0"}' | CNI_COMMAND=VERSION timeout 60 "qemu-$machine-static" "$dir/$arch/bridge" | grep -F "$1"
done
echo "release: equal bytes twice, unpacked, installed and run"
