#!/usr/bin/env bash
# Unpacks Debian's firewalld into DIR (default .cache/firewalld in the checkout), for the
# tests that reload it. It is not installed: that would start it on this machine. What it
# needs beside it are libraries and a bus daemon, which start nothing.
set -euo pipefail
root=$(cd "$(dirname "$0")/../.." && pwd)
dir=${1:-$root/.cache/firewalld}
needed=()
command -v dbus-daemon > /dev/null || needed+=(dbus-daemon)
/usr/bin/python3 -c 'import dbus, gi' 2> /dev/null || needed+=(python3-dbus python3-gi gir1.2-glib-2.0)
ldconfig -p | grep -q libnftables.so.1 || needed+=(libnftables1)
if [ ${#needed[@]} -gt 0 ] || [ ! -x "$dir/usr/sbin/firewalld" ]; then apt-get update -qq; fi
if [ ${#needed[@]} -gt 0 ]; then
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${needed[@]}"
fi
if [ -x "$dir/usr/sbin/firewalld" ]; then exit; fi

mkdir -p "${dir%/*}"
work=$(mktemp -d "$dir.XXXXXX")
trap 'rm -rf "$work"' EXIT
mkdir "$work/debs" "$work/files"
(cd "$work/debs" && apt-get download -qq -o APT::Sandbox::User=root firewalld python3-firewall python3-nftables)
for deb in "$work"/debs/*.deb; do dpkg-deb -x "$deb" "$work/files"; done
rm -rf "$dir"
mv "$work/files" "$dir" # whole, or not at all
