#!/usr/bin/env python3
"""Holds hangscope's answers against those of crash and drgn, and against what the guest itself said.

    compare.py FOLDER... [--program target/release/hangscope] [--vmlinux RELEASE=FILE]... [--option=OPTION]... [--only CHECK,...]

A FOLDER is one dump, or holds folders of dumps: vmcore or vmcore.*, all of the same memory; truth.json,
dmesg.txt; golden/ with ps.txt, foreach-bt.txt, log.txt, mod.txt of crash and drgn.jsonl of drgn
(tests/lab makes all of them); and, where they are there, addresses.jsonl and expressions.jsonl (addresses.py,
expressions.py under drgn), kmem-s.txt, kmem-i.txt and structs.txt (crash's `kmem -s`, `kmem -i`, `struct -o`).  What a folder does not have is not checked.  Kernels before 6.0 do not say in
VMCOREINFO where their symbols are: without a --vmlinux of that release their dumps are skipped.

dis wants objdump (binutils 2.39 or later).  One line a check; the last line is `N passed, N failed`.
"""
import argparse
import functools
import json
import pathlib
import re
import subprocess
import sys

import checks

SHOWN = 8  # differences of one check
LIMIT_S = 120  # for one run of the program


class Dump:
    more_golden = []

    def __init__(self, path):
        self.path = path
        self.name = path.name
        self.release = re.search(r"Linux version (\S+)", (path / "dmesg.txt").read_text(errors="replace"))[1]
        self.file = self.files()[0]

    def files(self):
        """All of them, the one that golden/ was made of first."""
        order = ["vmcore", "vmcore.zstd", "vmcore.d31-zstd", "vmcore.d23-zstd"]
        found = [
            file
            for file in self.path.glob("vmcore*")
            if not file.name.endswith(("head-qemu", "incomplete", ".gz"))
        ]
        return sorted(found, key=lambda file: (order.index(file.name) if file.name in order else len(order), file.name))

    def has_golden(self):
        return all((self.path / "golden" / name).exists() for name in ("ps.txt", "foreach-bt.txt", "log.txt", "mod.txt", "drgn.jsonl"))

    def golden(self, name):
        return self.golden_file(name).read_text(errors="replace")

    def golden_file(self, name):
        """In the dump's own golden/ or, for dumps that cannot be written to, in FOLDER/NAME of --golden."""
        return next((file for folder in Dump.more_golden if (file := folder / self.name / name).exists()), self.path / "golden" / name)


class Failed(Exception):
    """The program gave no answer."""


class Program:
    def __init__(self, path, vmlinux, options):
        self.path = path
        self.vmlinux = vmlinux
        self.options = options

    @functools.cache
    def run(self, *arguments, dump, may_fail=False):
        options = ["-s", self.vmlinux[dump.release]] if dump.release in self.vmlinux else []
        options += self.options
        command = [self.path, *arguments, *options]
        try:
            ended = subprocess.run(command, capture_output=True, timeout=LIMIT_S, stdin=subprocess.DEVNULL)
        except subprocess.TimeoutExpired:
            raise Failed(f"{' '.join(map(str, command))}: no end after {LIMIT_S} s") from None
        if ended.returncode and not (may_fail and ended.stdout):
            message = ended.stderr.decode(errors="replace").strip() or f"exit status {ended.returncode}"
            raise Failed(f"{' '.join(map(str, command))}: {message[-400:]}")
        return ended.stdout.decode(errors="backslashreplace")

    def text(self, dump, command):
        return self.run("exec", dump.file, "-c", command, dump=dump)

    def rows(self, dump, command, *options):
        (answer,) = json.loads(self.run("exec", dump.file, "-c", command, "--json", *options, dump=dump))
        if "error" in answer:
            raise Failed(f"{command}: {answer['error']}")
        return answer["rows"]

    def many(self, dump, commands):
        """The rows of each command, all from one run."""
        arguments = [word for command in commands for word in ("-c", command)]
        answers = json.loads(self.run("exec", dump.file, *arguments, "--json", dump=dump))
        if wrong := next((answer for answer in answers if "error" in answer), None):
            raise Failed(f"{wrong['command']}: {wrong['error']}")
        return [answer["rows"] for answer in answers]

    def answers(self, dump, commands):
        """What each of many commands answers, errors too."""
        arguments = [part for command in commands for part in ("-c", command)]
        return json.loads(self.run("exec", dump.file, "--json", *arguments, dump=dump, may_fail=True))

    def report(self, dump):
        return json.loads(self.run("report", "--json", dump.file, dump=dump))


def outcome(check, dump, program):
    """What one check says: (what it looked at, what is wrong)."""
    wrong, generator = [], check(dump, program)
    try:
        while True:
            wrong.append(next(generator))
    except StopIteration as end:
        return end.value, wrong
    except Failed as reason:
        return "no answer", [*wrong, str(reason)]
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        return "not the JSON that is promised", [*wrong, f"{type(error).__name__}: {error}"]


def dumps_in(folder):
    if (folder / "dmesg.txt").exists():
        return [folder]
    return sorted(path.parent for path in folder.glob("*/dmesg.txt") if any(path.parent.glob("vmcore*")))


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folders", nargs="+", type=pathlib.Path)
    parser.add_argument("--program", type=pathlib.Path, default="target/release/hangscope")
    parser.add_argument("--vmlinux", action="append", default=[], help="RELEASE=FILE")
    parser.add_argument("--golden", action="append", default=[], type=pathlib.Path, help="more golden files, in FOLDER/NAME-OF-DUMP")
    parser.add_argument("--option", action="append", default=[], help="for every run of the program: --option=--no-btf")
    parser.add_argument("--only", type=lambda text: text.split(","))
    options = parser.parse_args()
    vmlinux = dict(pair.split("=", 1) for pair in options.vmlinux)
    program = Program(options.program, vmlinux, options.option)
    Dump.more_golden = options.golden
    passed = failed = 0
    for folder in options.folders:
        for path in dumps_in(folder):
            dump = Dump(path)
            if int(dump.release.split(".")[0]) < 6 and dump.release not in program.vmlinux:
                print(f"skip {dump.name}: no --vmlinux {dump.release}=FILE", flush=True)
                continue
            todo = checks.WITH_GOLDEN * dump.has_golden() + checks.WITH_TRUTH * (path / "truth.json").exists()
            more = [check for check, name in checks.WITH_FILE.items() if dump.golden_file(name).exists()]
            for check in [*todo, *more, *checks.ALWAYS]:
                if options.only and check.__name__ not in options.only:
                    continue
                looked, wrong = outcome(check, dump, program)
                print(f"{'FAIL' if wrong else 'pass'} {dump.name} {check.__name__}: {looked}", flush=True)
                for line in wrong[:SHOWN]:
                    print(f"       {line}")
                if len(wrong) > SHOWN:
                    print(f"       and {len(wrong) - SHOWN} more")
                passed, failed = passed + (not wrong), failed + bool(wrong)
    print(f"{passed} passed, {failed} failed")
    return int(failed > 0 or passed == 0)


if __name__ == "__main__":
    sys.exit(main())
