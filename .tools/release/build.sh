#!/usr/bin/env bash
# build.sh VERSION COMMIT DIRECTORY: for the architectures of ARCHES release archives, laid out as
# the reference's (programs at the top, LICENSE and README beside them) with the documents in doc/,
# Debian and RPM packages, CycloneDX lists of what is in them, and checksums. SHA256SUMS has the
# checksums of all files; where MINISIGN_KEY names a secret key, SHA256SUMS.minisig is its signature.
# THIRD-PARTY has the licences of the modules that the programs are linked with.
# The same source gives the same bytes: no path, time, owner or setting of the caller's gets in.
set -euo pipefail
umask 022
export LC_ALL=C TZ=UTC GOFLAGS=-mod=readonly GOAMD64=v1 GOARM64=v8.0 GOPPC64=power8 GORISCV64=rva20u64
version=$1 commit=$2 out=$3
module=github.com/bridgeport-cni/bridgeport
cd "$(dirname "$0")/../.."
mkdir -p "$out"
out=$(cd "$out" && pwd)
stage=$(mktemp -d)
trap 'rm -rf "$stage"' EXIT
SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)
export SOURCE_DATE_EPOCH
# nfpm, cyclonedx-gomod, minisign. The list has checksums of the program that makes it.
(cd .tools/release && CGO_ENABLED=0 ${GO:-go} build -trimpath -buildvcs=false -o "$stage/tools/" tool)
export SHARE=$stage/share DOCUMENTS=$stage/doc
${GO:-go} run ./plugins/bridgeport/gen "$SHARE"
gzip -n9 "$SHARE"/man/man*/*
mkdir "$DOCUMENTS"
git ls-files -z LICENSE '*.md' conf 'plugins/*.svg' 'test/bench/*.svg' ':!.tools' | tar --null -T - -cf - | tar -C "$DOCUMENTS" -xf -
chmod -R u=rwX,go=rX "$DOCUMENTS"
# Without a tag a version is a commit, with which a package's version may not begin.
case $version in [0-9]*) number=$version ;; v[0-9]*) number=${version#v} ;; *) number=0~$version ;; esac
[[ $number == [0-9]*[.~]* ]] || number=0~$number
number=${number/-rc/"~rc"} # it comes before the release

# programs ARCH DIR: what an archive holds.
programs() {
	mkdir "$2"
	local program name entry
	for program in bridge:plugins bridgeport:plugins/bridgeport; do
		entry=
		if [[ -e plugins/start/entry_linux_$1.s ]]; then entry="-linkmode internal -E bridgeport_entry"; fi
		CGO_ENABLED=0 GOOS=linux GOARCH=$1 ${GO:-go} build -trimpath -buildvcs=false \
			-ldflags "-s -w -buildid= -X $module/pkg/cni.Version=$version -X $module/pkg/cni.Commit=$commit $entry" \
			-o "$2/${program%%:*}" "./${program##*:}"
	done
	# Copies, not links: some scripts take single files out of the archive.
	for name in portmap host-local loopback; do cp "$2/bridge" "$2/$name"; done
	chmod 755 "$2" "$2"/*
	cp -r "$DOCUMENTS" "$2/doc"
	cp "$DOCUMENTS/LICENSE" "$2"
	# README lies above the documents that it leads to.
	sed -E 's#\]\(([^):#][^):]*)\)#](doc/\1)#g' "$DOCUMENTS/README.md" > "$2/README.md"
	${GO:-go} run ./test/supply/notices "$2/bridge" "$2/bridgeport" > "$2/THIRD-PARTY"
	chmod 644 "$2"/{LICENSE,README.md,THIRD-PARTY}
}

# describe FILE DIR: each module in the programs with version and checksum, as the linker
# noted it, and Go's own packages by Go's release without its experiments, which scanners don't
# know (CycloneDX).
describe() {
	local program
	for program in bridge bridgeport; do
		"$stage/tools/cyclonedx-gomod" bin -json -std -noserial -notimestamp -version "$version" \
			-output "$out/$1.$program.cdx.json" "$2/$program" 2> "$stage/log" || { cat "$stage/log" >&2; return 1; }
		sed -Ei 's/(std@|"version": ")(go[0-9.]+)-X:[a-z0-9,]+/\1\2/' "$out/$1.$program.cdx.json"
		made+=("$1.$program.cdx.json")
	done
}

checksums() {
	(cd "$out" && sha256sum "$1" > "$1.sha256" && sha512sum "$1" > "$1.sha512")
	made+=("$1")
}

# package KIND VERSION FILE DIR
package() {
	STAGE=$4 VERSION=$2 "$stage/tools/nfpm" package --config .tools/release/nfpm.yaml --packager "$1" --target "$out/$3" > "$stage/log" ||
		{ cat "$stage/log" >&2; return 1; }
	checksums "$3"
}

file=${number//"~"/.} # GitHub would rename a file with ~
made=()
for arch in $ARCHES; do
	dir=$stage/$arch
	programs "$arch" "$dir"
	archive=bridgeport-linux-$arch-$version.tgz
	tar -C "$dir" --sort=name --mtime="@$SOURCE_DATE_EPOCH" --owner=0 --group=0 --numeric-owner -cf - . | gzip -n9 > "$out/$archive"
	checksums "$archive"
	describe "$archive" "$dir"
	export ARCH=$arch
	package deb "$number" "bridgeport_${file}_$arch.deb" "$dir"
	case $arch in amd64) machine=x86_64 ;; arm64) machine=aarch64 ;; *) machine=$arch ;; esac
	package rpm "${number//-/.}" "bridgeport-${file//-/.}-1.$machine.rpm" "$dir"
done
((${#made[@]})) || exit 0
(cd "$out" && sha256sum "${made[@]}" > SHA256SUMS)
if [[ -n ${MINISIGN_KEY:-} ]]; then # minisign asks for the key's password, if it has one
	"$stage/tools/minisign" -S -s "$MINISIGN_KEY" -t "bridgeport $version" -m "$out/SHA256SUMS"
fi
