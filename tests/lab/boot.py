#!/usr/bin/env python3
"""Boots a guest of kernel.sh under QEMU, lets it play scenes, and dumps its memory.

    boot.py KERNEL OUT SCENE... [--cpus 2] [--memory 256] [--panic sysrq|hung]

KERNEL is a folder that kernel.sh filled.  Into OUT go vmcore.elf and vmcore.kdump, both as QEMU writes
them (or, with --panic, vmcore.proc: what the capture kernel found in its /proc/vmcore), truth.json
(README.md says what is in it) and dmesg.txt.

QEMU's TCG now and then stands still while the kernel patches its own text: a guest whose console says
nothing for a while is started again, a few times.  no_timer_check: on a busy host the guest's timer may look broken.
"""
import argparse
import json
import os
import pathlib
import re
import subprocess
import sys
import time

TRIES = 5
SILENCE_S = 45
TRY_S = 300


class Failed(Exception):
    """This try came to nothing."""


class Guest:
    """One QEMU, talked to over QMP on its standard streams."""

    def __init__(self, options, initrd):
        self.console_path = options.out / "console.log"
        self.console_path.write_bytes(b"")
        append = (
            "console=ttyS0 panic=0 ignore_loglevel printk.devkmsg=on no_timer_check "
            f"tangle.scenes={','.join(options.scenes)} tangle.settle={options.settle}"
        )
        command = [
            "qemu-system-x86_64", "-accel", "tcg,thread=multi", "-cpu", "qemu64,-hypervisor",
            "-smp", str(options.cpus), "-m", f"{options.memory}M", "-nodefaults", "-display", "none",
            "-no-reboot", "-device", "vmcoreinfo", "-serial", f"file:{self.console_path}",
            "-qmp", "stdio", "-kernel", str(options.kernel / "vmlinuz"), "-initrd", str(initrd),
        ]
        if options.panic:
            append += f" tangle.panic={options.panic} crashkernel=160M"
            disk = options.out / "disk"
            with open(disk, "wb") as file:
                file.truncate((options.memory + 64) << 20)
            command += ["-drive", f"file={disk},if=virtio,format=raw"]
        else:
            append += " nowatchdog"
        self.process = subprocess.Popen(
            command + ["-append", append], stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        self.reply()  # its greeting
        self.ask("qmp_capabilities")

    def ask(self, command, **arguments):
        line = json.dumps({"execute": command, "arguments": arguments})
        self.process.stdin.write(line.encode() + b"\n")
        self.process.stdin.flush()
        reply = self.reply()
        while "event" in reply:
            reply = self.reply()
        if "error" in reply:
            raise Failed(f"{command}: {reply['error']['desc']}")
        return reply["return"]

    def reply(self):
        line = self.process.stdout.readline()
        if not line:
            raise Failed("QEMU has ended")
        return json.loads(line)

    def console(self):
        return self.console_path.read_bytes().decode("ascii", "backslashreplace").replace("\r", "")

    def wait_for(self, text, ending=False):
        """Until the console says it; `ending`: and the guest has switched itself off."""
        start = time.monotonic()
        size, last = 0, start
        while True:
            console, now = self.console(), time.monotonic()
            if text in console and (not ending or self.process.poll() is not None):
                return
            if len(console) != size:
                size, last = len(console), now
            if self.process.poll() is not None:
                raise Failed(f"QEMU ended before {text}")
            if now - last > SILENCE_S or now - start > TRY_S:
                raise Failed(f"no {text} after {now - start:.0f} s; last: {console[-200:]!r}")
            time.sleep(0.2)

    def stop(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()


def dump(guest, options):
    if options.panic:
        guest.wait_for("TANGLE-SAVED", ending=True)
        size = int(re.search(r"TANGLE-VMCORE (\d+)", guest.console())[1])
        disk = options.out / "disk"
        os.truncate(disk, size)
        disk.rename(options.out / "vmcore.proc")
        return
    guest.wait_for("TANGLE READY")
    guest.ask("stop")
    for name, form in (("vmcore.elf", "elf"), ("vmcore.kdump", "kdump-zlib")):
        path = options.out / name
        guest.ask("dump-guest-memory", paging=False, protocol=f"file:{path}", format=form)
        path.chmod(0o644)


def attempt(options):
    for old in options.out.glob("vmcore*"):
        old.unlink()
    initrd = options.kernel / "initrd.gz"
    if options.panic:
        both = options.out / "initrd"
        both.write_bytes(initrd.read_bytes() + (options.kernel / "capture.gz").read_bytes())
        initrd = both
    guest = Guest(options, initrd)
    try:
        dump(guest, options)
        console = guest.console()
    finally:
        guest.stop()
        for name in ("initrd", "disk"):
            (options.out / name).unlink(missing_ok=True)
    if error := re.search("TANGLE-ERROR.*", console):
        raise Failed(error[0])
    (options.out / "dmesg.txt").write_text(console)
    truth = [json.loads(line) for line in re.findall(r"TANGLE (\{.*\})$", console, re.MULTILINE)]
    lines = ",\n".join(json.dumps(line) for line in truth)
    (options.out / "truth.json").write_text(f"[\n{lines}\n]\n")
    (options.out / "console.log").unlink()
    return len(truth)


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("kernel", type=pathlib.Path)
    parser.add_argument("out", type=pathlib.Path)
    parser.add_argument("scenes", nargs="+")
    parser.add_argument("--cpus", type=int, default=2)
    parser.add_argument("--memory", type=int, default=256, help="MiB")
    parser.add_argument("--settle", type=int, default=6, help="seconds between the last scene and the dump")
    parser.add_argument("--panic", choices=("sysrq", "hung"))
    options = parser.parse_args()
    options.kernel, options.out = options.kernel.resolve(), options.out.resolve()
    options.out.mkdir(parents=True, exist_ok=True)
    for number in range(1, TRIES + 1):
        start = time.monotonic()
        try:
            told = attempt(options)
        except Failed as reason:
            print(f"{options.out.name}: try {number}: {reason}", flush=True)
            continue
        print(f"{options.out.name}: {told} lines of truth in {time.monotonic() - start:.0f} s", flush=True)
        return 0
    return 1


if __name__ == "__main__":
    sys.exit(main())
