#!/bin/busybox sh
# The guest's first program. It makes the machine outside the root, read-only with the
# guest's memory above it, runs the command there, leaves its status, and ends the guest.
export PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin

die() {
	echo "init: $*" > /dev/console
	$B poweroff -f
}

# mount9p TAG DIR OPTIONS mounts a shared folder. The machine's files do not change under
# a test, so the root is cached; what the guest writes must be outside at its end.
mount9p() { $B mount -t 9p -o "trans=virtio,version=9p2000.L,msize=512000,$3" "$1" "$2"; }

if [ "$1" != inside ]; then
	B=/bin/busybox
	$B mount -t proc proc /proc
	$B mount -t sysfs sys /sys
	$B mount -t devtmpfs dev /dev
	for module in virtio_pci virtio_console 9pnet_virtio 9p overlay; do $B modprobe $module || die "no $module"; done
	mount9p host /host ro,cache=loose || die "cannot mount the root"
	$B mount -t tmpfs -o size=75% over /over
	$B mkdir -p /over/upper/.vm/run /over/work /over/root
	$B cp /bin/busybox /init /over/upper/.vm/
	$B mount -t overlay -o lowerdir=/host,upperdir=/over/upper,workdir=/over/work root /over/root || die "cannot lay the overlay"
	for dir in proc sys dev; do $B mount --move /$dir /over/root/$dir; done
	exec $B switch_root /over/root /.vm/busybox sh /.vm/init inside
fi

B=/.vm/busybox
run=/.vm/run
mount9p run $run rw,cache=none || die "cannot mount the orders"

$B mkdir -p /dev/pts /dev/shm
$B mount -t devpts -o mode=600,ptmxmode=666 devpts /dev/pts
$B mount -t tmpfs shm /dev/shm
$B mount -t tmpfs -o mode=755 run /run
$B mkdir /run/lock /run/netns
[ ! -d /var/lib/cni ] || $B mount -t tmpfs cni /var/lib/cni # the machine's leases are none of the guest's
$B mount -t cgroup2 cgroup2 /sys/fs/cgroup
$B mount -t bpf bpf /sys/fs/bpf
$B ln -s /proc/self/fd /dev/fd
$B ln -s fd/0 /dev/stdin
$B ln -s fd/1 /dev/stdout
$B ln -s fd/2 /dev/stderr
while read -r tag dir; do mount9p "$tag" "$dir" rw,cache=mmap || die "cannot mount $dir"; done < $run/writable

# Modules come on demand, as on a real machine: the kernel calls modprobe.
read -r modules < $run/modules
$B mkdir -p /lib/modules
$B mount --bind "$modules" /lib/modules || die "no modules"
$B ln -s busybox /.vm/modprobe
echo /.vm/modprobe > /proc/sys/kernel/modprobe
[ -e /sbin/modprobe ] || $B ln -s /.vm/modprobe /sbin/modprobe

$B hostname vm
$B ip link set lo up

for port in /sys/class/virtio-ports/*; do
	case $($B cat "$port/name") in
	out) out=/dev/${port##*/} ;;
	err) err=/dev/${port##*/} ;;
	esac
done
# Pipes between the command and the ports: a port opens only once, and programs open
# /dev/stdout a second time.
$B mkfifo /.vm/out /.vm/err
$B cat < /.vm/out > "$out" & copies=$!
$B cat < /.vm/err > "$err" & copies="$copies $!"
$B setsid /bin/bash $run/command < /dev/null > /.vm/out 2> /.vm/err
status=$?
# The copies end with their writers. What the command left running may hold a pipe for
# ever: it gets a second.
$B timeout 1 $B sh -c "while kill -0 $copies 2> /dev/null; do $B usleep 20000; done"
echo $status > $run/status
$B sync
$B poweroff -f
