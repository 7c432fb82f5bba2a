#!/usr/bin/env python3
"""structs.py VMLINUX COUNT: names of COUNT structs that VMLINUX's BTF describes, every k-th by name."""
import struct
import subprocess
import sys
import tempfile

INFO_AND_EACH = {1: (4, 0), 3: (12, 0), 4: (0, 12), 5: (0, 12), 6: (0, 8), 13: (0, 8), 14: (4, 0), 15: (0, 12), 17: (4, 0), 19: (0, 12)}
STRUCT = 4


def structs(btf):
    header, _, types_len, strings, _ = struct.unpack_from("<5I", btf, 4)
    at, end, strings = header, header + types_len, header + strings
    while at < end:
        name, info, _ = struct.unpack_from("<3I", btf, at)
        kind, count = info >> 24 & 0x1F, info & 0xFFFF
        if kind == STRUCT and name and count:
            yield btf[strings + name : btf.index(b"\0", strings + name)].decode()
        info_size, each = INFO_AND_EACH.get(kind, (0, 0))
        at += 12 + info_size + count * each


def main():
    vmlinux, count = sys.argv[1], int(sys.argv[2])
    with tempfile.NamedTemporaryFile() as section:
        subprocess.run(["objcopy", f"--dump-section=.BTF={section.name}", vmlinux, "/dev/null"], check=True)
        names = list(structs(section.read()))
    once = sorted(name for name in set(names) if names.count(name) == 1)  # of two by one name, which is meant?
    for name in once[:: max(len(once) // count, 1)][:count]:
        print(name)


main()
