#!/bin/sh
# Makes the files in this folder anew. Wants gcc, dwz 0.15, objcopy and zstd; tests only read them.
#
#   single-VERSION.zst   one program whose units share partial units (dwz without -m)
#   split-VERSION.zst    the same program, what it shares with another moved to
#   shared-VERSION.zst   the supplementary file: named by .gnu_debugaltlink, in 5s by .debug_sup
set -eu
cd "$(dirname "$0")"
out=$(mktemp -d)
trap 'rm -r "$out"' EXIT
flags="-O2 -ffreestanding -fno-pie -no-pie -nostdlib -static -mcmodel=kernel -mno-red-zone
  -fno-stack-protector -fcf-protection=none -ffile-prefix-map=$PWD=/kernel
  -fdebug-prefix-map=$PWD=/kernel -Wl,-Ttext=0xffffffff81000000,--entry=0xffffffff81000000
  -Wl,-z,max-page-size=4096,--build-id=sha1"
for version in 4 5 5s; do
  g=-gdwarf-${version%s}
  dwz=
  [ "$version" = 5s ] && dwz=--dwarf-5
  # shellcheck disable=SC2086
  gcc $flags $g one.c two.c -o "$out/single"
  # shellcheck disable=SC2086
  gcc $flags $g three.c -o "$out/third"
  objcopy -R .comment "$out/single"
  cp "$out/single" "$out/split"
  [ "$version" = 5s ] || dwz -L none -l none "$out/single"
  (cd "$out" && dwz $dwz -m shared -M shared.debug split third)
  [ "$version" = 5s ] || zstd -q -19 -f "$out/single" -o "single-$version.zst"
  zstd -q -19 -f "$out/split" -o "split-$version.zst"
  zstd -q -19 -f "$out/shared" -o "shared-$version.zst"
done
