#!/usr/bin/env bash
# check.sh VERSION COMMIT: this architecture's release is built twice, the second time as another
# person would (elsewhere.sh), to equal bytes, and signed; its lists of modules are what is in the
# programs, in go.mod and in go.sum; unpacked as the reference's archives are, and out of the Debian package, its plugins attach
# containers, and each link of its documents leads to a file (as root). The packages live beside
# others' (packages.sh). Programs that `go install` makes know their version. Those of the other
# architectures at least start, under an emulator.
set -euo pipefail
self=$(dirname "$(realpath "$0")")
cd "$self/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
go=${GO:-go}
own=$($go env GOARCH)
others=$(for arch in $ARCHES; do test "$arch" = "$own" || echo "$arch"; done)
export ARCHES=$own
(cd .tools/release && $go tool minisign -G -W -s "$dir/key" -p "$dir/key.pub") > "$dir/log" # a throw-away key
MINISIGN_KEY=$dir/key .tools/release/build.sh "$1" "$2" "$dir/one"
MINISIGN_KEY=$dir/key .tools/release/elsewhere.sh "$1" "$2" "$dir/two"
diff -r "$dir/one" "$dir/two"
$go mod verify
$go run ./test/supply/release "$1" "$dir/one"
(cd "$dir/one" && sha256sum --quiet -c ./*.sha256 SHA256SUMS && sha512sum --quiet -c ./*.sha512)
mkdir "$dir/unpacked"
tar -C "$dir/unpacked" -xzf "$dir"/one/*-"$own"-*.tgz
dpkg -x "$dir"/one/*_"$own".deb "$dir/root"
for documents in "$dir/unpacked" "$dir/root/usr/share/doc/bridgeport"; do
	DOCUMENTS=$documents $go test -count=1 -run '^TestLinks$' ./test/borders
done
for bin in "$dir/unpacked" "$dir/root/usr/lib/bridgeport"; do
	"$bin/bridge" --version | grep -F "$1"
	BRIDGEPORT_BIN=$bin $go test -count=1 ./test/scenario -ginkgo.focus='sample configuration'
done
"$dir/root/usr/bin/bridgeport" --version
cmp "$dir/unpacked/THIRD-PARTY" "$dir/root/usr/share/doc/bridgeport/THIRD-PARTY"
cp "$dir/key.pub" "$dir/one/SHA256SUMS.pub"
.tools/release/packages.sh "$dir/one"

# What `go install …@v0.1.0` makes of the commit: a proxy of files has it.
module=github.com/bridgeport-cni/bridgeport
mkdir -p "$dir/proxy/$module/@v"
git archive --format=zip --prefix="$module@v0.1.0/" -o "$dir/proxy/$module/@v/v0.1.0.zip" HEAD LICENSE go.mod go.sum pkg plugins
cp go.mod "$dir/proxy/$module/@v/v0.1.0.mod"
echo v0.1.0 > "$dir/proxy/$module/@v/list"
echo '{"Version": "v0.1.0"}' > "$dir/proxy/$module/@v/v0.1.0.info"
GOPROXY=file://$dir/proxy,file://$($go env GOMODCACHE)/cache/download GOSUMDB=off GOMODCACHE=$dir/modules GOBIN=$dir/gobin GOFLAGS=-modcacherw \
	$go install -trimpath "$module/plugins@v0.1.0" "$module/plugins/bridgeport@v0.1.0"
! "$dir/gobin/plugins" 2> "$dir/log" && grep -F "sudo install -D $dir/gobin/plugins /opt/cni/bin" "$dir/log"
ln "$dir/gobin/plugins" "$dir/gobin/portmap"
"$dir/gobin/portmap" --version | grep -F 'portmap plugin v0.1.0 '
"$dir/gobin/bridgeport" --version | grep -F 'bridgeport v0.1.0 '

ARCHES=$others .tools/release/build.sh "$1" "$2" "$dir/others"
$go run ./test/supply/release "$1" "$dir/others"
for arch in $others; do
	mkdir "$dir/$arch"
	tar -C "$dir/$arch" -xzf "$dir"/others/*-"$arch"-*.tgz
	case $arch in arm64) machine=aarch64 ;; *) machine=$arch ;; esac
	echo '{"cniVersion": "1.0.0"}' | CNI_COMMAND=VERSION timeout 60 "qemu-$machine-static" "$dir/$arch/bridge" | grep -F "$1"
done
echo "release: equal bytes by two users in two places, signed, lists compared, unpacked, installed beside others' packages and run"
