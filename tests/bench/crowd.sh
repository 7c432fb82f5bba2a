#!/bin/bash
# How the whole program grows with the number of blocked tasks: crowd.sh DIR [HANGSCOPE]
set -euo pipefail
cd "$(dirname "$0")/../.."
dir=$(realpath "$1")
hangscope=$(realpath "${2:-target/release/hangscope}")
for crowd in 25000:1000 50000:1000 100000:1000 100000:1 chain:10000 ring:10000; do
	dump=$dir/crowd-${crowd/:/-}
	if [ ! -e "$dump" ]; then
		CROWD=$crowd CROWD_WRITE=$dump cargo test -q --test locks write_a_dump > /dev/null
	fi
	for what in "report" "report --json" "report --dot" "exec -c ps"; do
		# The fastest of three counts.
		for _ in 1 2 3; do
			# shellcheck disable=SC2086
			/usr/bin/time -f "%e %U %S %M" "$hangscope" $what "$dump" 2>&1 > /dev/null | tail -n 1
		done | sort -n | head -n 1 | while read -r seconds user system kib; do
			printf '%-14s %-14s %6s s, %6s s of CPU, %4d MiB\n' "$crowd" "$what" "$seconds" \
				"$(echo "$user + $system" | bc)" $((kib / 1024))
		done
	done
done
