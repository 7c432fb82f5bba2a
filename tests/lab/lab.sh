#!/bin/bash
# lab.sh WORK [DUMP...]: builds what is missing and makes the dumps of the table below in WORK/dumps/, each with
# all file formats and with what crash and drgn say about it.  Without DUMP: those that .ci/run wants.
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
table() {	# name, kernel (suite, flavour), options of boot.py, scenes
	cat <<-END
	6.1-sleep      bookworm cloud-amd64  --cpus=2  $sleeping
	6.1-demo       bookworm cloud-amd64  --cpus=4  abba ring chain mixed readers writers semaphore mmapspin
	6.1-kdump      bookworm cloud-amd64  --cpus=2,--memory=512,--panic=hung  $hung
	6.1-many       bookworm cloud-amd64  --cpus=2,--memory=512  abba crowd
	6.1-spin       bookworm cloud-amd64  --cpus=4  spin
	6.1-spinslab   bookworm cloud-amd64  --cpus=4  spinslab
	6.1-spinabba   bookworm cloud-amd64  --cpus=4  spinabba
	6.1-spinqueue  bookworm cloud-amd64  --cpus=6  spinqueue
	6.1-rwlock     bookworm cloud-amd64  --cpus=4  rwlock
	rt-sleep       bookworm rt-amd64     --cpus=2,--memory=384  $sleeping
	5.10-sleep     bullseye cloud-amd64  --cpus=2  $sleeping
	6.12-sleep     trixie cloud-amd64    --cpus=2  $sleeping
	6.12-demo      trixie cloud-amd64    --cpus=4  abba ring chain mixed readers writers semaphore mmapspin
	7-sleep        forky cloud-amd64     --cpus=2,--level=23  $sleeping
	END
}
[ $# -gt 0 ] || set -- 6.1-sleep 6.1-demo 6.1-kdump 6.12-sleep

step() { printf '== lab %4d s: %s\n' $SECONDS "$*"; }

step "crash and makedumpfile of forky, drgn"
"$here/suite.sh" "$work" forky crash makedumpfile ca-certificates > "$work/forky.log" 2>&1 || { tail -20 "$work/forky.log"; exit 1; }
if [ ! -x "$work/venv/bin/drgn" ]; then
	python3 -m venv "$work/venv"
	"$work/venv/bin/pip" install -q drgn==0.3.0 cramjam==2.14.0 < /dev/null > "$work/pip.log" 2>&1 || { tail -20 "$work/pip.log"; exit 1; }
fi

for name; do
	read -r _ suite flavour options scenes < <(table | grep "^$name ") || { echo "lab.sh: no dump $name" >&2; exit 2; }
	kernel=$work/kernel/$suite-$flavour out=$work/dumps/$name
	if [ ! -e "$kernel/initrd.gz" ] || [ -n "$(find "$here/src" "$here/scenes" -newer "$kernel/initrd.gz")" ]; then
		step "kernel $flavour of $suite"
		"$here/kernel.sh" "$work" "$suite" "$flavour" > "$work/$suite-$flavour.log" 2>&1 || { tail -30 "$work/$suite-$flavour.log"; exit 1; }
		tail -1 "$work/$suite-$flavour.log"
	fi
	level=31
	boot=()
	for option in ${options//,/ }; do	# makedumpfile 1.7.8 takes slab pages of 7.x for user pages: not above 23
		case $option in --level=*) level=${option#*=} ;; *) boot+=("$option") ;; esac
	done
	step "$name"
	# shellcheck disable=SC2086
	"$here/boot.py" "$kernel" "$out" $scenes "${boot[@]}"
	cp "$kernel/tangle.ko" "$out/"
	"$work/venv/bin/python" "$here/variants.py" "$work" "$out" --level "$level" 2> "$out/variants.log" || { cat "$out/variants.log"; exit 1; }
	"$here/reference.sh" "$work" "$kernel" "$out" vmcore.zstd
done
step done
