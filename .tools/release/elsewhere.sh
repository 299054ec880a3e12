#!/usr/bin/env bash
# elsewhere.sh VERSION COMMIT DIRECTORY: the release as another person would build it: a clone in another
# folder by another user, with other caches, which are empty, umask, time zone, locale, host name,
# number of processors, and settings of Go (as root). Modules come from this user's cache.
set -euo pipefail
version=$1 commit=$2 out=$3
cd "$(dirname "$0")/../.."
go=${GO:-go}
if [[ ${4:-} != --inside ]]; then
	exec unshare --mount --uts "$0" "$version" "$commit" "$out" --inside
fi
place=$(mktemp -d)
trap 'umount "$place/proxy"; rm -rf "$place"' EXIT
hostname elsewhere
mkdir "$place"/{proxy,home,release}
mount --bind "$($go env GOMODCACHE)/cache/download" "$place/proxy"
umask 077
git clone -q --no-hardlinks . "$place/another folder"
git diff --binary HEAD | git -C "$place/another folder" apply --index --allow-empty
if [[ -n ${MINISIGN_KEY:-} ]]; then cp "$MINISIGN_KEY" "$place/key"; fi
chmod 711 "$place"
chown -R 65534:65534 "$place"/{home,release,another\ folder}
if [[ -e $place/key ]]; then chown 65534 "$place/key"; fi
cd "$place/another folder"
env -i PATH="$PATH" GO="$go" HOME="$place/home" USER=nobody LOGNAME=nobody TMPDIR="$place/home" \
	ARCHES="$ARCHES" GOEXPERIMENT="${GOEXPERIMENT:-}" MINISIGN_KEY="${MINISIGN_KEY:+$place/key}" \
	GOPROXY="file://$place/proxy" GOSUMDB=off GOTOOLCHAIN=local \
	TZ=Pacific/Kiritimati LC_ALL=C.UTF-8 GOMAXPROCS=3 GOAMD64=v3 GOFLAGS=-tags=elsewhere \
	setpriv --reuid=65534 --regid=65534 --clear-groups --no-new-privs \
	.tools/release/build.sh "$version" "$commit" "$place/release"
mkdir -p "$out"
cp "$place"/release/* "$out"
