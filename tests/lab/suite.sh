#!/bin/bash
# suite.sh WORK SUITE [PACKAGE...]: a small Debian of another suite in WORK/root-SUITE (made once), for its compiler,
# its kernels and its programs.  from.sh runs those without entering it.
set -euo pipefail
root=$1/root-$2 packages=$(IFS=,; echo "${*:3}")
[ -e "$root/made" ] && exit
mirror=${MIRROR:-http://deb.debian.org/debian}
rm -rf "$root"
mkdir -p "$1"
# Any recent suite is bootstrapped as sid is, also one that this debootstrap has not heard of.
debootstrap --variant=minbase --include="make${packages:+,$packages}" "$2" "$root" "$mirror" \
	/usr/share/debootstrap/scripts/sid < /dev/null
# Mirrors of a fixed day serve lists whose date has passed; they are signed all the same.
echo 'Acquire::Check-Valid-Until "false";' > "$root/etc/apt/apt.conf.d/fixed-day"
touch "$root/made"
