#!/bin/bash
# reference.sh WORK KERNEL OUT DUMP: what crash and drgn say about one dump, into OUT/golden/
#   ps.txt foreach-bt.txt log.txt mod.txt kmem-s.txt kmem-i.txt structs.txt (crash), drgn.jsonl (golden.py), addresses.jsonl (addresses.py), slabs.jsonl (slabs.py),
#   locals.jsonl (locals.py), expressions.jsonl (expressions.py)
# crash comes out of WORK/root-forky, drgn out of WORK/venv.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$1 kernel=$2 out=$3 dump=$3/$4
options=(-s)
case $(< "$kernel/release") in [7-9].*) options+=(--no_modules) ;; esac	# crash 9.0.2 knows modules up to 6.x
mkdir -p "$out/golden"
rm -f "$out"/golden/*
for command in ps 'foreach bt' log mod 'kmem -s' 'kmem -i'; do
	name=${command// -/-}
	echo "$command > $out/golden/${name// /-}.txt"
done | {
	cat
	python3 "$here/structs.py" "$(realpath "$kernel/vmlinux")" 500 | sed "s|.*|struct -o & >> $out/golden/structs.txt|"
	echo quit
} | timeout 600 "$here/from.sh" "$work" forky crash "${options[@]}" "$(realpath "$kernel/vmlinux")" "$dump" > "$out/golden/crash.out" 2>&1 ||
	{ cat "$out/golden/crash.out"; exit 1; }
rm "$out/golden/crash.out"
timeout 600 "$work/venv/bin/drgn" -q -c "$dump" -s "$(realpath "$kernel/vmlinux")" -s "$kernel/tangle.ko" \
	"$here/golden.py" > "$out/golden/drgn.jsonl" < /dev/null
timeout 600 "$work/venv/bin/drgn" -q -c "$dump" -s "$(realpath "$kernel/vmlinux")" \
	"$here/../compare/addresses.py" > "$out/golden/addresses.jsonl" < /dev/null
timeout 600 "$work/venv/bin/drgn" -q -c "$dump" -s "$(realpath "$kernel/vmlinux")" \
	"$here/../compare/slabs.py" > "$out/golden/slabs.jsonl" < /dev/null
timeout 600 "$work/venv/bin/drgn" -q -c "$dump" -s "$(realpath "$kernel/vmlinux")" -s "$kernel/tangle.ko" \
	"$here/../compare/locals.py" > "$out/golden/locals.jsonl" < /dev/null
timeout 600 "$work/venv/bin/drgn" -q -c "$dump" -s "$(realpath "$kernel/vmlinux")" \
	"$here/expressions.py" > "$out/golden/expressions.jsonl" < /dev/null
