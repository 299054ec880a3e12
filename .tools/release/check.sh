#!/usr/bin/env bash
# check.sh VERSION COMMIT: this architecture's release is built twice, to equal bytes;
# unpacked as the reference's archives are, its plugins attach containers (as root).
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
export ARCHES=${ARCHES:-$(${GO:-go} env GOARCH)}
for turn in one two; do .tools/release/build.sh "$1" "$2" "$dir/$turn"; done
diff -r "$dir/one" "$dir/two"
(cd "$dir/one" && sha256sum --quiet -c ./*.sha256 && sha512sum --quiet -c ./*.sha512)
mkdir "$dir/bin"
tar -C "$dir/bin" -xzf "$dir"/one/*-"$(${GO:-go} env GOARCH)"-*.tgz
"$dir/bin/bridge" --version | grep -F "$1"
BRIDGEPORT_BIN=$dir/bin ${GO:-go} test -count=1 ./test/scenario -ginkgo.focus='sample configuration'
echo "release: equal bytes twice, unpacked and run"
