#!/usr/bin/env bash
# Gets what the guests need: qemu, a stock Debian kernel with its modules, busybox.
# Everything is unpacked below the cache folder; no kernel and no qemu is installed.
#
#   setup.sh [KERNEL...]    names in kernels.txt, default 6.1; "all" for all
#   VMDIR=DIR               the cache folder, default .cache/vm in the checkout
#
# A second call downloads nothing and only packs init.sh again. To get newer packages,
# remove the cache folder. amd64 only. qemu and busybox come from the machine's own package
# sources; kernels come from the same mirror and other suites, whose lists are kept in the cache
# folder.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
VMDIR=${VMDIR:-$(dirname "$(dirname "$here")")/.cache/vm}
busybox=$VMDIR/busybox/bin/busybox
apt=() # options for other package sources
# Of thousands of modules these matter: the network, its software devices, what they
# need, and the way to the root file system.
wanted='^kernel/(net|lib|crypto|arch/x86/crypto|drivers/(net|virtio)|fs/(9p|overlayfs|netfs|fscache))/|/virtio_console\.ko'
hardware='^kernel/(drivers/net/(ethernet|wireless|usb|can|wan|phy|hamradio|arcnet|fddi)|net/(bluetooth|mac80211|wireless|nfc|can))/'

main() {
	[ $# -gt 0 ] || set -- 6.1
	# shellcheck disable=SC2046 # one word for each kernel
	if [ "$1" = all ]; then set -- $(awk '!/^#/ {print $1}' "$here/kernels.txt"); fi
	mkdir -p "$VMDIR"
	exec 9> "$VMDIR/lock" # for two checkouts or terminals with one cache
	flock 9
	host_tools
	qemu
	busybox
	for kernel; do
		kernel "$kernel"
		initrd "$VMDIR/kernel/$kernel"
		echo "ready: $kernel $(< "$VMDIR/kernel/$kernel/release")"
	done
}

# host_tools installs the small programs that this folder's scripts call.
host_tools() {
	local missing=()
	command -v xz > /dev/null || missing+=(xz-utils)
	command -v zstd > /dev/null || missing+=(zstd)
	command -v ip > /dev/null || missing+=(iproute2)
	[ ${#missing[@]} -eq 0 ] && return
	lists
	DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "${missing[@]}"
}

# lists reads the package lists anew: an old one names versions that are gone.
lists() { [ -n "${fresh-}" ] || apt-get update -qq && fresh=1; }

# unpack PACKAGE... downloads packages and unpacks them into $VMDIR/new. The caller moves
# that to its place when it is complete, so that an interrupted set-up leaves no half.
unpack() {
	local deb new=$VMDIR/new
	[ ${#apt[@]} -gt 0 ] || lists
	rm -rf "$new" && mkdir -p "$new/debs"
	# apt warns that its own user cannot write here; as root it downloads all the same.
	(cd "$new/debs" && apt-get "${apt[@]}" download -qq "$@" 2> >(grep -v '^W: Download is performed unsandboxed' >&2))
	for deb in "$new"/debs/*.deb; do dpkg-deb -x "$deb" "$new"; done
	rm -rf "$new/debs"
}

# suites NAME reads the package lists of a kernel's suites and makes apt's options of them: the
# machine's sources stay as they are, and are not read.
suites() {
	local dir=$VMDIR/apt/$1 suite mirror from
	from=$(awk -v name="$1" '$1 == name {$1 = ""; print}' "$here/kernels.txt")
	[ -n "$from" ] || { echo "setup.sh: no kernel $1 in $here/kernels.txt" >&2 && return 1; }
	rm -rf "$dir" && mkdir -p "$dir"/{lists,archives}/partial
	for suite in $from; do
		case $suite in *-security) mirror=$(mirror Debian-Security) ;; *) mirror=$(mirror Debian) ;; esac
		echo "deb [signed-by=/usr/share/keyrings/debian-archive-keyring.gpg] $mirror $suite main"
	done > "$dir/sources"
	printf 'Package: *\nPin: release *\nPin-Priority: 500\n' > "$dir/preferences" # backports count as others
	apt=(-o "Dir::Etc::SourceList=$dir/sources" -o Dir::Etc::SourceParts=/dev/null
		-o "Dir::Etc::Preferences=$dir/preferences" -o Dir::Etc::PreferencesParts=/dev/null
		-o "Dir::State::Lists=$dir/lists" -o "Dir::Cache=$dir" -o Acquire::IndexTargets::deb::DEP-11::DefaultEnabled=false)
	apt-get "${apt[@]}" update -qq
}

# mirror LABEL prints where the machine's own sources have an archive of Debian's.
mirror() { apt-get indextargets --format '$(REPO_URI)' 'Created-By: Packages' "Label: $1" | head -n 1; }

busybox() {
	[ -d "$VMDIR/busybox" ] && return
	unpack busybox-static
	mv "$VMDIR/new" "$VMDIR/busybox"
}

# qemu with the libraries that this machine lacks. An installed one is taken as it is.
qemu() {
	command -v qemu-system-x86_64 > /dev/null || [ -d "$VMDIR/qemu" ] && return
	lists
	# shellcheck disable=SC2046 # one word for each package
	unpack $(apt-get install -s --no-install-recommends qemu-system-x86 | awk '/^Inst/ {print $2}')
	mv "$VMDIR/new" "$VMDIR/qemu"
}

# kernel NAME makes of a kernel's packages what a guest starts from: vmlinux, release,
# and below lib/ the modules that matter with their index.
kernel() {
	[ -d "$VMDIR/kernel/$1" ] && return
	local real new=$VMDIR/new image release modules apt=()
	suites "$1"
	real=$(needs linux-image-amd64 '^linux-image-[0-9]')
	# shellcheck disable=SC2046 # one word for each package; kernels since 6.19 come in parts
	unpack "$real" $(needs "$real" '^linux-(base|binary|modules)-[0-9]')
	image=$(find "$new" -name 'vmlinuz*' -type f) # in /boot, or beside the modules
	modules=$(find "$new" -type d -path '*/modules/[0-9]*' -prune)
	release=${modules##*/}
	vmlinux "$image" > "$new/vmlinux"
	(cd "$modules" && find kernel -name '*.ko*' | grep -vE "$wanted" | xargs rm -f)
	(cd "$modules" && find kernel -name '*.ko*' | grep -E "$hardware" | xargs rm -f)
	find "$modules" -name '*.ko.xz' -exec xz -d {} +
	if [ -d "$new/usr/lib/modules" ]; then mkdir -p "$new/lib" && mv "$new/usr/lib/modules" "$new/lib/"; fi # since Debian 13
	"$busybox" depmod -b "$new" "$release" # a package has no index: installing makes it
	echo "$release" > "$new/release"
	rm -rf "$new/boot" "$new/usr" "$modules"/vmlinuz*
	mkdir -p "$VMDIR/kernel"
	mv "$new" "$VMDIR/kernel/$1"
}

# needs PACKAGE PATTERN prints those of the packages it depends on whose names match.
needs() { apt-cache "${apt[@]}" depends "$1" | awk -v pattern="$2" '$1 == "Depends:" && $2 ~ pattern {print $2}'; }

# vmlinux IMAGE writes the kernel that a vmlinuz holds. Unpacking it under emulation at
# each start would cost more than the rest of the start. The header of a vmlinuz tells
# where it is: Documentation/arch/x86/boot.rst, setup_sects, payload_offset and _length.
vmlinux() {
	local sectors offset length
	sectors=$(od -An -tu1 -j $((0x1f1)) -N 1 "$1")
	offset=$(od -An -tu4 -j $((0x248)) -N 4 "$1")
	length=$(od -An -tu4 -j $((0x24c)) -N 4 "$1")
	# 4 bytes of length follow the compressed data.
	head -c $(((sectors + 1) * 512 + offset + length - 4)) "$1" | tail -c $((length - 4)) > "$1.payload"
	case $(od -An -tx1 -N 4 "$1.payload") in
	*'fd 37 7a 58') xz -dc --single-stream < "$1.payload" ;;
	*'28 b5 2f fd') zstd -dcq < "$1.payload" ;;
	*) echo "$1: compressed in an unknown way" >&2 && return 1 ;;
	esac
}

# initrd DIR packs the guest's first file system: busybox, init.sh and the modules on
# the way to the real one.
initrd() {
	local dir=$1 root=$VMDIR/initrd release
	release=$(< "$dir/release")
	rm -rf "$root" && mkdir -p "$root"/{bin,dev,proc,sys,host,over,"lib/modules/$release"}
	cp "$busybox" "$root/bin/"
	install -m 755 "$here/init.sh" "$root/init"
	cd "$dir/lib/modules/$release"
	cp modules.dep modules.builtin "$root/lib/modules/$release/"
	grep -E '/(virtio_pci|virtio_console|9pnet_virtio|9p|overlay)\.ko:' modules.dep | tr ': ' '\n\n' | sort -u | sed '/^$/d' |
		xargs cp --parents -t "$root/lib/modules/$release"
	cd "$root"
	find . | "$busybox" cpio -o -H newc 2> /dev/null > "$dir/initrd"
	rm -rf "$root"
}

main "$@"
