#!/bin/bash
# Lets each fuzz target look for new inputs for FUZZTIME (30s). What it finds lies in the
# package's testdata/fuzz, is repeated by go test from then on, and is to be committed.
set -uo pipefail
cd "$(dirname "$0")/.."
targets=0 bad=0 inputs=0
log=$(mktemp)
trap 'rm -f "$log"' EXIT
for package in $(go list -f '{{if or .TestGoFiles .XTestGoFiles}}{{.Dir}}{{end}}' ./pkg/... ./plugins/...); do
	for target in $(grep -hoE '^func Fuzz\w+' "$package"/*_test.go | cut -c6-); do
		[[ $target =~ ${FUZZ:-.} ]] || continue
		targets=$((targets + 1))
		if ! go test -run '^$' -fuzz "^$target\$" -fuzztime "${FUZZTIME:-30s}" -parallel "${FUZZ_PARALLEL:-2}" "$package" >"$log" 2>&1; then
			bad=$((bad + 1))
			echo "$package $target:"
			cat "$log"
		fi
		n=$(grep -oE 'execs: [0-9]+' "$log" | tail -1 | cut -c8-)
		inputs=$((inputs + ${n:-0}))
		echo "${package#"$PWD"/} $target: ${n:-0} inputs"
	done
done
echo "fuzz: $targets targets, $inputs inputs, $bad failures"
[ "$bad" = 0 ] && [ "$targets" -gt 0 ]
