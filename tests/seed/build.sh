#!/bin/bash
# Compiles and links the synthetic kernel: build.sh OUT
set -euo pipefail
cd "$(dirname "$0")"
work=$(mktemp -d)
trap 'rm -r "$work"' EXIT
out=$(realpath "$1")
common=(-g -gdwarf-4 -fno-pic -mcmodel=kernel -ffile-prefix-map="$PWD=/seed")
gcc -std=gnu11 -O0 -fno-asynchronous-unwind-tables -fno-common -Wall -Wextra "${common[@]}" -c kernel.c -o "$work/kernel.o"
gcc -gno-as-loc-support -g0 -c code.S -o "$work/code.o"
cd "$work"
ld -nostdlib -static -z max-page-size=4096 --build-id=none -T "$OLDPWD/kernel.ld" code.o kernel.o -o "$out"
