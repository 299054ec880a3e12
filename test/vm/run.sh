#!/usr/bin/env bash
# Runs one command in a throw-away guest with a stock Debian kernel, on an emulated CPU
# (about 15 times slower than this one), and exits with the command's status.
#
#   run.sh [-t SECONDS] [-k KERNEL] [-c CPUS] [-m MIB] [-w DIR] [-e NAME[=VALUE]] -- COMMAND [ARG...]
#     -t  limit, default 300, 0 for none; past it the status is 124
#     -k  kernel that setup.sh unpacked, a name of kernels.txt, default 6.1
#     -c  CPUs, default 1: two are hardly faster, but let two threads race
#     -m  memory, default 1024
#     -w  a folder that the command may write; may be given more than once
#     -e  passes a variable; PATH, HOME and LANG are passed anyway, BRIDGEPORT_VM is 1
#   VMDIR=DIR    the cache folder, default .cache/vm in the checkout
#
# The guest sees this machine's files, in the same places, from the same working
# directory, as root. What it writes goes to its memory and is lost, but for -w. It has
# no network device but lo, and its /run and /var/lib/cni are empty. Standard input is
# empty. Status 125: the guest did not come up, or died; its console follows.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
VMDIR=${VMDIR:-$(dirname "$(dirname "$here")")/.cache/vm}

usage() { sed -n '2,/^set/s/^# \?//p' "$0" >&2; exit 2; }

limit=300 kernel=6.1 cpus=1 memory=1024 writable=() variables=(PATH HOME LANG BRIDGEPORT_VM=1)
while getopts t:k:c:m:w:e: option; do
	case $option in
	t) limit=$OPTARG ;;
	k) kernel=$OPTARG ;;
	c) cpus=$OPTARG ;;
	m) memory=$OPTARG ;;
	w) writable+=("$(realpath "$OPTARG")") ;;
	e) variables+=("$OPTARG") ;;
	*) usage ;;
	esac
done
shift $((OPTIND - 1))
[ $# -gt 0 ] || usage
boot=$VMDIR/kernel/$kernel
[ -s "$boot/initrd" ] || { echo "run.sh: no kernel $kernel: run $here/setup.sh $kernel" >&2; exit 125; }

run=$(mktemp -d "${TMPDIR:-/tmp}/bridgeport-vm.XXXXXX")
cleanup() {
	if [ -s "$run/pid" ]; then kill "$(< "$run/pid")" 2> /dev/null || true; fi
	rm -rf "$run"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# The guest finds its orders in this folder, which is shared with it as "run".
mkdir "$run/share"
{
	for variable in "${variables[@]}"; do
		case $variable in
		*=*) printf 'export %s=%q\n' "${variable%%=*}" "${variable#*=}" ;;
		*) [ -z "${!variable+x}" ] || printf 'export %s=%q\n' "$variable" "${!variable}" ;;
		esac
	done
	printf 'cd %q || exit 125\nexec timeout -k 5 %q' "$PWD" "$limit"
	printf ' %q' "$@"
	echo
} > "$run/share/command"
echo "$boot/lib/modules" > "$run/share/modules"
: > "$run/share/writable"

# An unpacked qemu does not know where its parts are.
qemu=qemu-system-x86_64 places=()
if ! command -v "$qemu" > /dev/null; then
	unpacked=$VMDIR/qemu/usr
	qemu=$unpacked/bin/$qemu places=(-L "$unpacked/share/qemu" -L "$unpacked/share/seabios")
	export LD_LIBRARY_PATH=$unpacked/lib/x86_64-linux-gnu:$VMDIR/qemu/lib/x86_64-linux-gnu
	export QEMU_MODULE_DIR=$unpacked/lib/x86_64-linux-gnu/qemu
fi

# share TAG DIR [OPTION] adds a folder; multidevs: it may hold other file systems.
share() {
	devices+=(-fsdev "local,id=$1,path=${2//,/,,},security_model=none,multidevs=remap${3-}" -device "virtio-9p-pci,fsdev=$1,mount_tag=$1")
}
devices=()
share host / ,readonly=on
share run "$run/share"
for dir in "${writable[@]}"; do
	share "w${#devices[@]}" "$dir"
	echo "w$((${#devices[@]} - 4)) $dir" >> "$run/share/writable"
done

# What makes an emulated guest quick, in the order of what it gains. Timers as coarse as
# the clock's tick (4 ms), because setting one means to leave the translated code: Go's
# scheduler sets hundreds each second. No instructions for strings (erms, fsrm): they are
# emulated byte by byte. No cleared memory where nobody asked for it. No address
# randomisation: code translated once is found again at its address. No security modules,
# five-level page tables, mitigations and self-tests. But q35 and not microvm: without a
# timer to measure by, a microvm hangs now and then on a busy machine.
cpu=max,erms=off,fsrm=off,la57=off
quick="highres=off nohz=off init_on_alloc=0 norandmaps nokaslr lsm= mitigations=off cryptomgr.notests audit=0"
clock="tsc=reliable no_timer_check random.trust_cpu=on"
nolinks="dummy.numdummies=0 ifb.numifbs=0 bonding.max_bonds=0" # a module that is loaded brings no links
arguments=(
	-nodefaults -no-user-config -display none -nic none -no-reboot -pidfile "$run/pid"
	-M q35,usb=off,vmport=off,hpet=off -accel tcg,thread=multi,tb-size=512 -cpu "$cpu" -smp "$cpus" -m "$memory"
	-kernel "$boot/vmlinux" -initrd "$boot/initrd" -append "console=ttyS0 quiet loglevel=4 panic=-1 reboot=t $quick $clock $nolinks"
	-chardev "file,id=console,path=$run/console" -serial chardev:console
	# Two ports for the command's output, which end in descriptors that are open here.
	-device virtio-serial-pci -add-fd fd=3,set=1 -add-fd fd=4,set=2
	-chardev file,id=out,path=/dev/fdset/1,append=on -device virtserialport,chardev=out,name=out
	-chardev file,id=err,path=/dev/fdset/2,append=on -device virtserialport,chardev=err,name=err
)
# timeout in the guest ends the command; this one is for a guest that hangs. cat, because
# qemu wants descriptors that are open for nothing but writing; it ends after the last
# word. In the background, because bash hears signals only while it waits.
outer=$((limit > 0 ? limit + 60 : 0))
{ timeout -k 5 "$outer" "$qemu" "${places[@]}" "${arguments[@]}" "${devices[@]}" 2>&1 4>&1 < /dev/null | cat >&2; } 3>&1 | cat &
wait $!

if [ ! -s "$run/share/status" ]; then
	echo "run.sh: the guest gave no status; the end of its console:" >&2
	tail -n 30 "$run/console" >&2 || true
	exit 125
fi
exit "$(< "$run/share/status")"
