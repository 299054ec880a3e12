#!/bin/bash
# Lets each fuzz target look for new inputs for FUZZTIME (30s). What it finds lies in the
# package's testdata/fuzz, is repeated by go test from then on, and is to be committed. Inputs
# that reach new code are kept in .cache/fuzz (or FUZZ_CACHE), where the next run begins.
set -uo pipefail
cd "$(dirname "$0")/.."
targets=0 bad=0 inputs=0 each=${FUZZTIME:-30s}
kept=${FUZZ_CACHE:-.cache/fuzz} cache=$(go env GOCACHE)/fuzz
log=$(mktemp)
trap 'rm -f "$log"' EXIT
mkdir -p "$kept" "$cache"
cp -rn "$kept/." "$cache/"
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./pkg/... ./plugins/...); do
	for target in $(grep -hoE '^func Fuzz\w+' "$package"/*_test.go | cut -c6-); do
		[[ $target =~ ${FUZZ:-.} ]] || continue
		targets=$((targets + 1))
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "$each" -parallel "${FUZZ_PARALLEL:-2}" "$package" >"$log" 2>&1; then
			bad=$((bad + 1))
			echo "$package $target:"
			cat "$log"
		fi
		n=$(grep -oE 'execs: [0-9]+' "$log" | tail -1 | cut -c8-)
		inputs=$((inputs + ${n:-0}))
		new=$(grep -oE 'new interesting: [0-9]+' "$log" | tail -1 | cut -c18-)
		echo "${package#"$PWD"/} $target: ${n:-0} inputs, ${new:-0} of them reach new code"
		if [ -d "$cache/$(go list "$package")/$target" ]; then
			mkdir -p "$kept/$(go list "$package")"
			cp -rn "$cache/$(go list "$package")/$target" "$kept/$(go list "$package")/"
		fi
	done
done
seconds=${each%s}
case $each in *[0-9]m) seconds=$((${each%m} * 60)) ;; *[0-9]h) seconds=$((${each%h} * 3600)) ;; esac
echo "fuzz: $targets targets, $(awk "BEGIN { printf \"%.4g\", $seconds / 60 }") minutes each, $inputs inputs, $bad findings"
[ "$bad" = 0 ] && [ "$targets" -gt 0 ]
