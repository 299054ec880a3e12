#!/usr/bin/env bash
# Runs every test of the repository on stock Debian kernels, but test/borders, which only
# reads sources, test/budget, whose counts are those of a current kernel, and test/plain, test/supply
# and test/newcomer, which build programs. The test programs are built here and run in guests of run.sh,
# one guest for each, as many at a time as there are CPUs. A skipped test is a failure: what
# this machine's kernel lacks is there.
#
#   suite.sh [DIR...]     test only these packages ("./test/stage"), default all
#   KERNEL="NAME..."      kernels, names of kernels.txt, default 6.1; "all" for all
#   SMOKE=1               a part of what depends on the kernel: of the rooms in $smoke each eighth
#                         spec (SAMPLE=8), and a short walk
#   VMJOBS=N              guests at a time
#   VMLIMIT=SECONDS       for one suite, default 1500
#   BRIDGEPORT_SLOW=N     how many times slower than usual a guest is, default 15; more where the
#                         machine has other work
#   VMDIR=DIR             the cache folder, default .cache/vm in the checkout
#   BRIDGEPORT_BIN, REFERENCE_BIN   plugins, default bin and bin/reference
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
smoke=(./test/scenario ./test/features/... ./test/packets ./test/attack ./test/walk)
export VMDIR=${VMDIR:-$root/.cache/vm} here root
export BRIDGEPORT_BIN=${BRIDGEPORT_BIN:-$root/bin} REFERENCE_BIN=${REFERENCE_BIN:-$root/bin/reference}
SAMPLE=${SAMPLE:-8}
export limit=${VMLIMIT:-1500} # seconds for one suite
kernels=${KERNEL:-6.1}
if [ "$kernels" = all ]; then kernels=$(awk '!/^#/ {print $1}' "$here/kernels.txt"); fi
built=$(mktemp -d "$VMDIR/suite.XXXXXX") # the test programs and their output
export built
trap 'rm -rf "$built"' EXIT

# suite KERNEL DIR runs one test program and prints what became of it. The seconds are said
# twice: how long it took, and how much of a CPU the guest had in that time.
suite() {
	local kernel=$1 dir=$2 name=${2#"$root"/} program log used focus=() result=ok status=0
	program=$built/${name//\//-}.test
	log=$built/$kernel-${name//\//-}.log
	[ ! -s "$program.focus" ] || focus=(-ginkgo.focus "$(< "$program.focus")")
	cd "$dir"
	TIMEFORMAT='%0R s, %0U of CPU'
	# What others load early on most machines, Docker or a kubelet for one: tests set both
	# states of br_netfilter, and a module that came only later would bring its sysctls
	# along in the middle of a test that compares all of them.
	used=$({ time "$here/run.sh" -t $((limit + 10)) -k "$kernel" -m 2048 -e BRIDGEPORT_BIN -e REFERENCE_BIN -e "BRIDGEPORT_SLOW=${BRIDGEPORT_SLOW:-15}" -e GINKGO_NO_COLOR=TRUE -e SUITE_BUILT -e WALK_SEED -e WALK_STEPS -- \
		bash -c 'modprobe -a nf_conntrack br_netfilter && exec "$@"' suite \
		"$program" -test.v -test.timeout "${limit}s" "${focus[@]}" > "$log" 2>&1; } 2>&1) || status=$?
	[ $status -eq 0 ] || result=FAIL
	if skipped "$log"; then result=FAIL && status=1; fi
	if [ $status -ne 0 ]; then sed "s,^,$kernel $name: ," "$log"; fi
	printf '%-5s %-7s %-22s %s\n' $result "$kernel" "$name" "$used"
	return $status
}

# skipped says whether the log has a skipped test: go test's own line of one, or ginkgo's count at
# the end. In a sample that counts what is not in it; a spec that skips itself says so.
skipped() {
	grep -qE '^ *--- SKIP|\[SKIPPED\]' "$1" || { [ -z "${SMOKE-}" ] && grep -qE '[1-9][0-9]* Skipped' "$1"; }
}
export -f suite skipped

if [ $# -gt 0 ]; then packages=("$@"); else packages=(./...); fi
if [ -n "${SMOKE-}" ]; then
	export SMOKE WALK_SEED=${WALK_SEED:-1} WALK_STEPS=${WALK_STEPS:-40} # the same walk on each kernel
	[ $# -gt 0 ] || packages=("${smoke[@]}")
fi
cd "$root"
mapfile -t dirs < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "${packages[@]}" | grep -vE '/test/(borders|budget|plain|newcomer|supply)$')
for dir in "${dirs[@]}"; do
	name=${dir#"$root"/}
	program=$built/${name//\//-}.test
	CGO_ENABLED=0 go test -c -o "$program" "$dir"
	if [ -n "${SMOKE-}" ] && grep -q 'ginkgo/v2"' "$dir"/*_test.go; then
		(cd "$dir" && go run "$root/test/sample" "$SAMPLE" "$program" > "$program.focus")
	fi
done
export SUITE_BUILT=$built/reference # the reference's own tests; the guest has no Go
if printf '%s\n' "${dirs[@]}" | grep -q /test/suite$; then
	SUITE_BUILD=$SUITE_BUILT SUITE_BUILT='' "$built/test-suite.test" -test.run '^$'
fi
for kernel in $kernels; do "$here/run.sh" -k "$kernel" -- "$here/features.sh"; done

# The most tests first, or the longest suite would run alone at the end.
status=0 passed=0 count=0
for kernel in $kernels; do
	for dir in "${dirs[@]}"; do echo "$(cat "$dir"/*_test.go | wc -l) $kernel $dir"; done
done | sort -rns -k 1,1 | cut -d' ' -f2- |
	xargs -P "${VMJOBS:-$(nproc)}" -L 1 bash -c 'suite "$@" || echo "$@" >> "$built/failed"' suite || status=1
touch "$built/failed"
for kernel in $kernels; do
	failed=$(grep -c "^$kernel " "$built/failed") || true
	count=$((count + 1)) passed=$((passed + (failed == 0)))
	echo "vm-test: $((${#dirs[@]} - failed)) of ${#dirs[@]} suites passed on Linux $(< "$VMDIR/kernel/$kernel/release")"
done
[ $count -eq 1 ] || echo "vm-matrix: $passed of $count kernels passed"
exit $((passed < count || status > 0))
