#!/usr/bin/env bash
# build.sh VERSION COMMIT DIRECTORY: release archives for the architectures of ARCHES, laid out as the
# reference's (programs at the top, LICENSE and README beside them), a Debian package and
# CycloneDX lists of what is in them, and checksums.
# The same source gives the same bytes: no path, time or owner gets in.
set -euo pipefail
version=$1 commit=$2 out=$3
module=github.com/bridgeport-cni/bridgeport
cd "$(dirname "$0")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
(cd .tools/release && ${GO:-go} build -o "$stage/tools/" tool) # nfpm, cyclonedx-gomod
SHARE=$stage/share
${GO:-go} run ./plugins/bridgeport/gen "$SHARE"
gzip -n9 "$SHARE"/man/man1/*
# Without a tag a version is a commit, with which a Debian version may not begin.
case $version in [0-9]*) debian=$version ;; v[0-9]*) debian=${version#v} ;; *) debian=0~$version ;; esac
[[ $debian == [0-9]*[.~]* ]] || debian=0~$debian

# programs ARCH DIR: what an archive holds.
programs() {
	mkdir "$2"
	local program name entry
	for program in bridge:plugins bridgeport:plugins/bridgeport; do
		entry=
		if [[ $program == *:plugins && -e plugins/start/entry_linux_$1.s ]]; then entry="-linkmode internal -E bridgeport_entry"; fi
		CGO_ENABLED=0 GOOS=linux GOARCH=$1 ${GO:-go} build -trimpath -buildvcs=false \
			-ldflags "-s -w -buildid= -X $module/pkg/cni.Version=$version -X $module/pkg/cni.Commit=$commit $entry" \
			-o "$2/${program%%:*}" "./${program##*:}"
	done
	# Copies, not links: some scripts take single files out of the archive.
	for name in portmap host-local loopback; do cp "$2/bridge" "$2/$name"; done
	cp LICENSE README.md "$2"
	chmod 755 "$2" "$2"/*
	chmod 644 "$2"/LICENSE "$2"/README.md
}

# describe FILE DIR: each module in the programs with version and checksum, as the linker
# noted it (CycloneDX).
describe() {
	local program
	for program in bridge bridgeport; do
		"$stage/tools/cyclonedx-gomod" bin -json -noserial -notimestamp -output "$out/$1.$program.cdx.json" "$2/$program" 2> "$stage/log" ||
			{ cat "$stage/log" >&2; return 1; }
	done
}

checksums() { (cd "$out" && sha256sum "$1" > "$1.sha256" && sha512sum "$1" > "$1.sha512"); }

for arch in $ARCHES; do
	dir=$stage/$arch
	programs "$arch" "$dir"
	archive=bridgeport-linux-$arch-$version.tgz
	tar -C "$dir" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - . | gzip -n9 > "$out/$archive"
	checksums "$archive"
	describe "$archive" "$dir"
	export ARCH=$arch
	package=bridgeport_${debian}_$arch.deb
	STAGE=$dir SHARE=$SHARE VERSION=$debian "$stage/tools/nfpm" package --config .tools/release/nfpm.yaml --packager deb --target "$out/$package" > "$stage/log" ||
		{ cat "$stage/log" >&2; exit 1; }
	checksums "$package"
done
