#!/bin/sh
# Postinst, prerm and postrm of the Debian package. They give the plugin its names where
# runtimes look, and take them back. Other packages own files of these names: kubernetes-cni in
# /opt/cni/bin, containernetworking-plugins in /usr/lib/cni. A diversion leads their files, now
# and at each of their upgrades, to NAME.distrib. Each exchange is a rename, so that a call at
# any moment finds a whole plugin. Each step may be repeated after an interruption.
set -e

# same FILE NAME gives the file another name; a copy where the file system has no hard links.
same() { ln -fT "$1" "$2" 2> /dev/null || cp -aT --remove-destination "$1" "$2"; }

# exchange FILE NAME: from one moment to the next NAME is FILE.
exchange() {
	if ! one "$1" "$2"; then
		same "$1" "$2.bridgeport-new"
		mv -fT "$2.bridgeport-new" "$2"
	fi
}

# one A B: both are names of one file already, which mv refuses. Links that lead to it are not.
one() { [ ! -L "$1" ] && [ ! -L "$2" ] && [ "$1" -ef "$2" ]; }

present() { [ -e "$1" ] || [ -L "$1" ]; }

ours() { [ "$(dpkg-divert --listpackage "$1")" = bridgeport ]; }

divert() { dpkg-divert --quiet --package bridgeport --no-rename --divert "$2.distrib" "$1" "$2"; }

put() {
	if ! ours "$1"; then
		if present "$1"; then same "$1" "$1.distrib"; fi
		divert --add "$1"
	fi
	exchange /usr/lib/bridgeport/bridge "$1"
}

give_back() {
	if ours "$1"; then
		if present "$1.distrib"; then exchange "$1.distrib" "$1"; else rm -f "$1"; fi
		divert --remove "$1"
		rm -f "$1.distrib"
	elif one "$1.distrib" "$1"; then # put was interrupted
		rm -f "$1.distrib"
	fi
	rm -f "$1.bridgeport-new"
}

case $DPKG_MAINTSCRIPT_NAME-$1 in
postinst-*) step=put ;;
prerm-remove | postrm-remove) step=give_back ;; # dpkg skips prerm where postinst never ran
*) exit 0 ;;
esac
dirs="/opt/cni/bin /usr/lib/cni"
for dir in $dirs; do
	for name in bridge portmap host-local loopback; do
		$step "$dir/$name"
	done
done

# The plugins of others are in place again: running containers get the rules that these would have
# made, and what is ours on the node goes. Where that is impossible the command says why, and the rules
# stay; the removal goes on.
if [ "$DPKG_MAINTSCRIPT_NAME-$1" = prerm-remove ] && [ -x /usr/bin/bridgeport ]; then
	for dir in $dirs; do
		if present "$dir/bridge"; then break; fi
	done
	/usr/bin/bridgeport uninstall --keep-programs --bin-dir "$dir" || :
fi
