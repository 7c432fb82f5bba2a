#!/bin/bash
# from.sh WORK SUITE PROGRAM [ARG...]: a program out of WORK/root-SUITE, run here with that suite's libraries
set -euo pipefail
root=$1/root-$2
for program in "$root"/usr/bin/"$3" "$root"/usr/sbin/"$3"; do
	[ -e "$program" ] && exec "$root/lib64/ld-linux-x86-64.so.2" \
		--library-path "$root/usr/lib/x86_64-linux-gnu:$root/lib/x86_64-linux-gnu" "$program" "${@:4}"
done
echo "from.sh: $2 has no $3" >&2
exit 127
