#!/bin/bash
# lab.sh WORK [KERNEL-DUMP...]: builds what is missing and makes dumps of the tables below in WORK/dumps/.
# Without KERNEL-DUMP: those that .ci/run wants.
#
#   apt-get install debootstrap qemu-system-x86 busybox-static kexec-tools cpio zstd xz-utils python3-venv gcc libc6-dev
#
# Needs root (for debootstrap), a Debian mirror (MIRROR=), PyPI, and some 8 GiB in WORK.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(mkdir -p "$1" && cd "$1" && pwd)
shift

sleeping='abba ring chain mixed readers writers allocated semaphore waits percpu rtmutex folio mmap futex'
hung='abba chain readers mixed mmap'
kernels() {	# name, suite, flavour, options
	cat <<-END
	5.10  bullseye  cloud-amd64
	6.1   bookworm  cloud-amd64
	rt    bookworm  rt-amd64     --memory=384
	6.12  trixie    cloud-amd64
	7     forky     cloud-amd64  --level=23
	END
}
dumps() {	# name, what to make of it (all: every format, and what crash and drgn say; truth: one file), options, scenes
	cat <<-END
	sleep       all    --cpus=2  $sleeping
	demo        all    --cpus=4  abba ring chain mixed readers writers semaphore mmapspin
	kdump       all    --cpus=2,--memory=512,--panic=hung  $hung
	many        all    --cpus=2,--memory=512  abba crowd
	spin        truth  --cpus=4  spin
	spinslab    truth  --cpus=4  spinslab
	spinabba    truth  --cpus=4  spinabba
	spinqueue   truth  --cpus=6  spinqueue
	rwlock      truth  --cpus=4  rwlock
	drivers     truth  --cpus=2  drivers
	driverspin  truth  --cpus=4  driverspin
	driverread  truth  --cpus=3  driverread
	driverirq   truth  --cpus=2  driverirq
	END
}
[ $# -gt 0 ] || set -- 6.1-{sleep,demo,kdump,spinabba,spinqueue,rwlock,drivers,driverspin,driverread,driverirq} \
	6.12-{sleep,spinqueue,drivers,driverspin,driverirq}

step() { printf '== lab %4d s: %s\n' $SECONDS "$*"; }

step "crash and makedumpfile of forky, drgn"
"$here/suite.sh" "$work" forky crash makedumpfile ca-certificates > "$work/forky.log" 2>&1 || { tail -20 "$work/forky.log"; exit 1; }
if [ ! -x "$work/venv/bin/drgn" ]; then
	python3 -m venv "$work/venv"
	"$work/venv/bin/pip" install -q drgn==0.3.0 cramjam==2.14.0 < /dev/null > "$work/pip.log" 2>&1 || { tail -20 "$work/pip.log"; exit 1; }
fi

for name; do
	read -r _ suite flavour always < <(kernels | grep "^${name%%-*} ") && read -r _ making options scenes < <(dumps | grep "^${name#*-} ") ||
		{ echo "lab.sh: no dump $name" >&2; exit 2; }
	kernel=$work/kernel/$suite-$flavour out=$work/dumps/$name
	if [ ! -e "$kernel/initrd.gz" ] || [ -n "$(find "$here/src" "$here/scenes" -newer "$kernel/initrd.gz")" ]; then
		step "kernel $flavour of $suite"
		"$here/kernel.sh" "$work" "$suite" "$flavour" > "$work/$suite-$flavour.log" 2>&1 || { tail -30 "$work/$suite-$flavour.log"; exit 1; }
		tail -1 "$work/$suite-$flavour.log"
	fi
	level=31
	boot=()
	for option in ${always//,/ } ${options//,/ }; do	# makedumpfile 1.7.8 takes slab pages of 7.x for user pages: not above 23
		case $option in --level=*) level=${option#*=} ;; *) boot+=("$option") ;; esac
	done
	step "$name"
	# shellcheck disable=SC2086
	"$here/boot.py" "$kernel" "$out" $scenes "${boot[@]}"
	cp "$kernel/tangle.ko" "$out/"
	formats=()
	[ "$making" = all ] || formats=(--only zstd)
	"$work/venv/bin/python" "$here/variants.py" "$work" "$out" --level "$level" "${formats[@]}" 2> "$out/variants.log" ||
		{ cat "$out/variants.log"; exit 1; }
	if [ "$making" = all ]; then
		"$here/reference.sh" "$work" "$kernel" "$out" vmcore.zstd
	else
		rm "$out"/vmcore.{elf,kdump}
	fi
done
step done
