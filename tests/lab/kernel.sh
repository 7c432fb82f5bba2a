#!/bin/bash
# kernel.sh WORK SUITE FLAVOUR: the suite's current kernel with what a guest needs, in WORK/kernel/SUITE-FLAVOUR/:
#   vmlinuz, vmlinux (with DWARF), tangle.ko (with DWARF), initrd.gz, capture.gz, release
# FLAVOUR is cloud-amd64, rt-amd64 or amd64: the end of the name of the linux-image package.
set -euo pipefail
here=$(cd "$(dirname "$0")" && pwd)
work=$(realpath "$1") suite=$2 flavour=$3
root=$work/root-$suite kernel=$work/kernel/$suite-$flavour

"$here/suite.sh" "$work" "$suite"
inside() { unshare -m sh -c 'mount -t proc proc "$0/proc" && exec chroot "$0" "$@"' "$root" "$@" < /dev/null; }

if [ ! -e "$kernel/release" ]; then
	rm -rf "$kernel"
	mkdir -p "$kernel/packages"
	inside apt-get update -qq
	# The debug package of the flavour names the release; image, headers and modules follow it.
	release=$(inside apt-cache depends "linux-image-$flavour-dbg" | sed -n 's/.*Depends: linux-image-\(.*\)-dbg$/\1/p')
	mkdir -p "$root/etc/initramfs-tools"	# some headers pull the image in, and nobody boots this Debian
	echo update_initramfs=no > "$root/etc/initramfs-tools/update-initramfs.conf"
	inside env DEBIAN_FRONTEND=noninteractive apt-get install -qqy --no-install-recommends \
		-o Dpkg::Options::=--force-confold "linux-headers-$release"
	names="linux-image-$release linux-image-$release-dbg"
	for part in binary modules; do		# since 7.x the image is split up
		inside apt-cache show "linux-$part-$release" > /dev/null 2>&1 && names="$names linux-$part-$release"
	done
	mkdir -p "$root/fetched"
	inside sh -c "cd /fetched && apt-get -o APT::Sandbox::User=root download -qq $names"
	for package in "$root"/fetched/*.deb; do
		dpkg-deb --fsys-tarfile "$package" |
			tar x -C "$kernel/packages" --exclude='*/usr/share/doc' --exclude='*/usr/lib/debug/*.ko*' --exclude='*/usr/lib/debug/lib/modules/*/kernel'
	done
	rm -rf "$root/fetched"
	ln -s "$(find "$kernel/packages" -type f -name 'vmlinuz*' | head -1)" "$kernel/vmlinuz"
	ln -s "$(find "$kernel/packages/usr/lib/debug" -type f -name 'vmlinux*' | head -1)" "$kernel/vmlinux"
	echo "$release" > "$kernel/release"
fi
release=$(< "$kernel/release")

# The module, by the compiler that built the kernel.
rm -rf "$root/tangle"
mkdir "$root/tangle"
cp "$here"/src/{tangle.h,script.c,drivers.c,Makefile} "$root/tangle/"
inside make -s -C "/usr/src/linux-headers-$release" M=/tangle modules
cp "$root/tangle/tangle.ko" "$kernel/"

# The initramfs of the guest, and of the kernel that captures its crash.
pack() { (cd "$1" && find . | LC_ALL=C sort | cpio -o -H newc --quiet | gzip -6) > "$2"; }
guest=$kernel/guest
rm -rf "$guest"
mkdir -p "$guest"/{bin,modules,scenes}
cp /bin/busybox "$guest/bin/"
install "$here/src/init" "$guest/init"
gcc -O2 -Wall -static -pthread -o "$guest/bin/tangle-user" "$here/src/tangle-user.c"
number=0
for name in qemu_fw_cfg virtio virtio_ring virtio_pci_modern_dev virtio_pci_legacy_dev virtio_pci virtio_blk; do
	module=$(find "$kernel/packages" -path '*/kernel/*' -name "$name.ko*" | head -1)
	case $name in qemu_fw_cfg) to=$name ;; *) to=virtio$((number++))-$name ;; esac
	case $module in
	*.xz)	xz -dc "$module" > "$guest/modules/$to.ko" ;;
	*.zst)	zstd -qdc "$module" > "$guest/modules/$to.ko" ;;
	?*)	cp "$module" "$guest/modules/$to.ko" ;;
	esac				# none: built in
done
pack "$guest" "$kernel/captor.gz"
cp "$here"/scenes/* "$guest/scenes/"
strip --strip-debug -o "$guest/modules/tangle.ko" "$kernel/tangle.ko"
pack "$guest" "$kernel/initrd.gz"

# On top of it for a real kdump: the capture kernel and kexec.
capture=$kernel/capture
rm -rf "$capture"
mkdir -p "$capture"/{capture,bin}
cp -L "$kernel/vmlinuz" "$capture/capture/vmlinuz"
mv "$kernel/captor.gz" "$capture/capture/initrd.gz"
kexec=$(command -v kexec)
cp "$kexec" "$capture/bin/"
for library in $(ldd "$kexec" | grep -o '/[^ ]*'); do
	mkdir -p "$capture${library%/*}"
	cp -L "$library" "$capture$library"
done
pack "$capture" "$kernel/capture.gz"
echo "kernel.sh: $release is in $kernel"
