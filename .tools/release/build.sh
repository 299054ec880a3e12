#!/usr/bin/env bash
# build.sh VERSION COMMIT DIRECTORY: release archives for all architectures, laid out as the
# reference's (programs at the top, LICENSE and README beside them), and checksums.
# The same source gives the same bytes: no path, time or owner gets in.
set -euo pipefail
version=$1 commit=$2 out=$3
module=github.com/bridgeport-cni/bridgeport
cd "$(dirname "$0")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
when=$(git log -1 --format=%ct)
for arch in ${ARCHES:-amd64 arm64 arm ppc64le s390x riscv64}; do
	dir=$stage/$arch
	mkdir "$dir"
	for program in bridge:plugins bridgeport:plugins/bridgeport; do
		CGO_ENABLED=0 GOOS=linux GOARCH=$arch ${GO:-go} build -trimpath -buildvcs=false \
			-ldflags "-s -w -buildid= -X $module/pkg/cni.Version=$version -X $module/pkg/cni.Commit=$commit" \
			-o "$dir/${program%%:*}" "./${program##*:}"
	done
	# Copies, not links: some scripts take single files out of the archive.
	for name in portmap host-local loopback; do cp "$dir/bridge" "$dir/$name"; done
	cp LICENSE README.md "$dir"
	chmod 755 "$dir" "$dir"/*
	chmod 644 "$dir"/LICENSE "$dir"/README.md
	archive=bridgeport-linux-$arch-$version.tgz
	tar -C "$dir" --sort=name --mtime="@$when" --owner=0 --group=0 --numeric-owner -cf - . | gzip -n9 >"$out/$archive"
	(cd "$out" && sha256sum "$archive" >"$archive.sha256" && sha512sum "$archive" >"$archive.sha512")
	# What is in it: each module with version and checksum, as the linker noted it.
	${GO:-go} version -m "$dir/bridge" "$dir/bridgeport" | sed "s#$dir/##" >"$out/$archive.modules"
done
