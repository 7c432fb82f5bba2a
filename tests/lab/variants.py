#!/usr/bin/env python3
"""Writes one guest's memory in every file format that makedumpfile knows, and two more.

    variants.py WORK OUT [--level 31] [--only zstd]

From OUT/vmcore.elf (or OUT/vmcore.proc), beside it:
    vmcore.zlib .lzo .zstd .raw .flat .filtered-elf   by makedumpfile -d LEVEL
    vmcore.snappy .mixed     repacked from .raw; mixed has a different compression each page (needs
                             the Python package cramjam: Debian builds makedumpfile without snappy)

WORK/root-forky holds makedumpfile (suite.sh).
"""
import argparse
import contextlib
import pathlib
import struct
import subprocess
import zlib

HERE = pathlib.Path(__file__).resolve().parent
ELF_HEADER = 64
PROGRAM_HEADER = 56
FLAGS = {"zlib": 1, "snappy": 4, "raw": 0}
WRITTEN = {"zlib": ["-c"], "lzo": ["-l"], "zstd": ["-z"], "filtered-elf": ["-E"], "raw": []}  # by makedumpfile


@contextlib.contextmanager
def plain_header(path):
    """QEMU 7.2 puts section headers before the program headers and says e_ehsize 8; makedumpfile looks
    for program headers right after the ELF header.  As long as this lasts they are there."""
    with open(path, "r+b") as file:
        written = file.read(4096)
        (at,), (count,) = struct.unpack_from("<Q", written, 32), struct.unpack_from("<H", written, 56)
        head = bytearray(written)
        head[ELF_HEADER : ELF_HEADER + count * PROGRAM_HEADER] = written[at : at + count * PROGRAM_HEADER]
        struct.pack_into("<QQ", head, 32, ELF_HEADER, 0)  # e_phoff, e_shoff
        struct.pack_into("<H", head, 52, ELF_HEADER)  # e_ehsize
        struct.pack_into("<HHH", head, 58, 0, 0, 0)  # no section headers
        file.seek(0)
        file.write(head[:4096])
    try:
        yield
    finally:
        with open(path, "r+b") as file:
            file.write(written)


def makedumpfile(work, *arguments, output=subprocess.DEVNULL):
    command = [HERE / "from.sh", work, "forky", "makedumpfile", "--message-level", "4", *arguments]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL, stdout=output)


def repack(source, target, kinds, snappy):
    """Copies a kdump file without compression, page n compressed as kinds[n % len(kinds)] says.

    makedumpfile's diskdump_mod.h tells the layout: header, sub-header, two bitmaps, one descriptor
    (offset, size, flags, page_flags) for each page in the second bitmap, then the pages.
    """
    data = pathlib.Path(source).read_bytes()
    status, block_size, sub_blocks, bitmap_blocks = struct.unpack_from("<IiiI", data, 424)
    bitmaps = (1 + sub_blocks) * block_size
    first = bitmaps + bitmap_blocks * block_size
    second = data[bitmaps + bitmap_blocks * block_size // 2 : first]
    pages = sum(byte.bit_count() for byte in second)
    head = bytearray(data[:first])
    struct.pack_into("<I", head, 424, status | sum({FLAGS[kind] for kind in kinds}))
    packers = {"raw": bytes, "zlib": zlib.compress, "snappy": snappy}
    descriptors, bodies, places = bytearray(), [], {}
    at = first + pages * 24
    for number in range(pages):
        offset, size, flags, page_flags = struct.unpack_from("<QIIQ", data, first + number * 24)
        if flags or size != block_size:
            raise SystemExit(f"{source}: page {number} is compressed already")
        if offset not in places:  # all zero pages share one body
            kind, page = kinds[number % len(kinds)], data[offset : offset + size]
            body = packers[kind](page)
            if len(body) >= size:
                kind, body = "raw", page
            places[offset] = (at, len(body), FLAGS[kind])
            bodies.append(body)
            at += len(body)
        descriptors += struct.pack("<QIIQ", *places[offset], page_flags)
    with open(target, "wb") as file:
        file.writelines([head, descriptors, *bodies])


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("work", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("--level", default="31", help="what makedumpfile leaves out")
    parser.add_argument("--only", choices=WRITTEN, help="this one and no other")
    options = parser.parse_args()
    source = options.out / "vmcore.elf"
    if not source.exists():
        source = options.out / "vmcore.proc"

    def target(name):
        path = options.out / f"vmcore.{name}"
        path.unlink(missing_ok=True)
        return path

    with plain_header(source):
        for name in [options.only] if options.only else WRITTEN:
            makedumpfile(options.work, *WRITTEN[name], "-d", options.level, source, target(name))
        if options.only:
            return
        with open(target("flat"), "wb") as file:
            makedumpfile(options.work, "-F", "-c", "-d", options.level, source, output=file)
    try:
        from cramjam import snappy
    except ImportError:
        print("variants.py: no Python package cramjam, so no vmcore.snappy and no vmcore.mixed")
        return
    compress = lambda page: bytes(snappy.compress_raw(page))
    raw = options.out / "vmcore.raw"
    repack(raw, target("snappy"), ["snappy"], compress)
    repack(raw, target("mixed"), ["snappy", "zlib", "raw"], compress)


if __name__ == "__main__":
    main()
