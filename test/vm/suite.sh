#!/usr/bin/env bash
# Runs every test of the repository on a stock Debian kernel, but test/borders, which only
# reads sources, test/budget, whose counts are those of a current kernel, and test/plain, test/supply
# and test/newcomer, which build programs. The test programs are built here and run in guests of run.sh,
# one guest for each, as many at a time as there are CPUs. A skipped test is a failure: what
# this machine's kernel lacks is there.
#
#   suite.sh [DIR...]     test only these packages ("./test/stage"), default all
#   VMKERNEL=PACKAGE      kernel, default linux-image-amd64; see setup.sh
#   VMJOBS=N              guests at a time
#   VMLIMIT=SECONDS       for one suite, default 1500
#   VMDIR=DIR             the cache folder, default .cache/vm in the checkout
#   BRIDGEPORT_BIN, REFERENCE_BIN   plugins, default bin and bin/reference
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
root=$(dirname "$(dirname "$here")")
export VMDIR=${VMDIR:-$root/.cache/vm} here root
export kernel=${VMKERNEL:-linux-image-amd64}
export BRIDGEPORT_BIN=${BRIDGEPORT_BIN:-$root/bin} REFERENCE_BIN=${REFERENCE_BIN:-$root/bin/reference}
export limit=${VMLIMIT:-1500} # seconds for one suite
built=$(mktemp -d "$VMDIR/suite.XXXXXX") # the test programs and their output
export built
trap 'rm -rf "$built"' EXIT

# suite DIR runs one test program and prints what became of it.
suite() {
	local dir=$1 name=${1#"$root"/} log start=$SECONDS result=ok status=0
	log=$built/${name//\//-}.log
	cd "$dir"
	# What others load early on most machines, Docker or a kubelet for one: tests set both
	# states of br_netfilter, and a module that came only later would bring its sysctls
	# along in the middle of a test that compares all of them.
	"$here/run.sh" -t $((limit + 10)) -k "$kernel" -m 2048 -e BRIDGEPORT_BIN -e REFERENCE_BIN -e BRIDGEPORT_SLOW=15 -e GINKGO_NO_COLOR=TRUE -e SUITE_BUILT -- \
		bash -c 'modprobe -a nf_conntrack br_netfilter && exec "$@"' suite \
		"$built/${name//\//-}.test" -test.v -test.timeout "${limit}s" > "$log" 2>&1 || status=$?
	[ $status -eq 0 ] || result=FAIL
	# go test's own line of a skipped test; ginkgo's count at the end.
	if grep -qE '^ *--- SKIP|[1-9][0-9]* Skipped' "$log"; then result=FAIL && status=1; fi
	if [ $status -ne 0 ]; then sed "s,^,$name: ," "$log"; fi
	printf '%-5s %-24s %4d s\n' $result "$name" $((SECONDS - start))
	return $status
}
export -f suite

if [ $# -gt 0 ]; then packages=("$@"); else packages=(./...); fi
cd "$root"
mapfile -t dirs < <(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' "${packages[@]}" | grep -vE '/test/(borders|budget|plain|newcomer|supply)$')
for dir in "${dirs[@]}"; do
	name=${dir#"$root"/}
	CGO_ENABLED=0 go test -c -o "$built/${name//\//-}.test" "$dir"
done
export SUITE_BUILT=$built/reference # the reference's own tests; the guest has no Go
if printf '%s\n' "${dirs[@]}" | grep -q /test/suite$; then
	SUITE_BUILD=$SUITE_BUILT SUITE_BUILT='' "$built/test-suite.test" -test.run '^$'
fi
"$here/run.sh" -k "$kernel" -- "$here/features.sh"

# The most tests first, or the longest suite would run alone at the end.
status=0
for dir in "${dirs[@]}"; do echo "$(cat "$dir"/*_test.go | wc -l) $dir"; done | sort -rn | cut -d' ' -f2- |
	xargs -P "${VMJOBS:-$(nproc)}" -I{} bash -c 'suite {} || { echo {} >> "$built/failed"; }' || status=1
failed=0
if [ -s "$built/failed" ]; then failed=$(wc -l < "$built/failed"); fi
echo "vm-test: $((${#dirs[@]} - failed)) of ${#dirs[@]} suites passed on Linux $(< "$VMDIR/kernel/$kernel/release")"
exit $((failed > 0 || status > 0))
