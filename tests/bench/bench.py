#!/usr/bin/env python3
"""How long whole processes take on one dump, and how much memory: hangscope, drgn, crash, side by side.

    bench.py DUMP VMLINUX [--program target/release/hangscope] [--drgn "drgn"] [--crash "crash"] [--times 5]

Each command runs --times times (crash, the slow one, at most twice), interleaved, so that a busy spell of the
machine meets all of them; the fastest run counts, and the largest peak of resident memory.  Prints Markdown
tables.  What is measured is stated, nothing is asserted: see README.md beside this.
"""
import argparse
import fcntl
import os
import pathlib
import pty
import select
import shlex
import signal
import struct
import subprocess
import sys
import tempfile
import termios
import time
import typing

HERE = pathlib.Path(__file__).resolve().parent


class Run(typing.NamedTuple):
    """One process from start to end."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    lines: int


def run(command, say=""):
    with tempfile.TemporaryFile() as out, tempfile.TemporaryFile() as say_file:
        say_file.write(say.encode())
        say_file.seek(0)
        start = time.perf_counter()
        process = subprocess.Popen(command, stdin=say_file, stdout=out, stderr=subprocess.DEVNULL)
        _, status, usage = os.wait4(process.pid, 0)
        seconds = time.perf_counter() - start
        process.returncode = os.waitstatus_to_exitcode(status)
        out.seek(0)
        lines = sum(1 for _ in out)
    if process.returncode or lines < 3:
        sys.exit(f"bench.py: {shlex.join(map(str, command))}: exit status {process.returncode}, {lines} lines")
    return Run(seconds, usage.ru_utime + usage.ru_stime, usage.ru_maxrss / 1024, lines)


def first_frame(command, columns=120, rows=36):
    """From the start of the explorer until its screen is drawn: the header line has come and nothing more follows at once."""
    start = time.perf_counter()
    pid, terminal = pty.fork()
    if pid == 0:
        os.environ["TERM"] = "xterm-256color"
        os.execvp(command[0], command)
    fcntl.ioctl(terminal, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    screen, drawn = b"", None
    deadline = start + 10
    while time.perf_counter() < deadline:
        ready, _, _ = select.select([terminal], [], [], 0.3 if drawn else 5)
        if not ready:
            break
        try:
            screen += os.read(terminal, 65536)
        except OSError:
            break
        if drawn is None and b"hangscope" in screen and len(screen) > columns:
            drawn = time.perf_counter() - start
    os.kill(pid, signal.SIGTERM)
    os.waitpid(pid, 0)
    os.close(terminal)
    if drawn is None:
        sys.exit("bench.py: the explorer drew nothing within 10 s")
    return drawn


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("dump")
    parser.add_argument("vmlinux")
    parser.add_argument("--program", default="target/release/hangscope")
    parser.add_argument("--drgn", type=shlex.split, default=["drgn"])
    parser.add_argument("--crash", type=shlex.split, default=["crash"])
    parser.add_argument("--times", type=int, default=5)
    parser.add_argument("--no-screen", action="store_true", help="leave the explorer out")
    options = parser.parse_args()

    def hangscope(command):
        return [options.program, "exec", "--no-debuginfo", options.dump, "-c", command], ""

    def drgn(script):
        return [*options.drgn, "-q", "-c", options.dump, "-s", options.vmlinux, HERE / script], ""

    def crash(command):
        return [*options.crash, "-s", options.vmlinux, options.dump], f"{command}\nquit\n"

    jobs = {
        "list of tasks": {"hangscope": hangscope("ps"), "drgn": drgn("listing.py"), "crash": crash("ps")},
        "struct task_struct from DWARF": {
            "hangscope": (
                [options.program, "exec", "--no-btf", "-s", options.vmlinux, options.dump, "-c", "struct task_struct"],
                "",
            ),
            "drgn": drgn("structure.py"),
        },
        "stack of every task": {"hangscope": hangscope("foreach bt"), "drgn": drgn("stacks.py"), "crash": crash("foreach bt")},
    }
    for job, commands in jobs.items():
        results = {}
        for number in range(options.times):
            for name, (command, say) in commands.items():
                if name != "crash" or number < 2:
                    results.setdefault(name, []).append(run(command, say))
        best = {
            name: Run(*(min(column) for column in zip(*runs)))._replace(peak_mib=max(each.peak_mib for each in runs))
            for name, runs in results.items()
        }
        ours = best["hangscope"]
        print(f"\n| {job} | seconds | CPU seconds | peak MiB | lines | seconds, times ours | MiB, times ours |")
        print("| --- | ---: | ---: | ---: | ---: | ---: | ---: |")
        for name, its in best.items():
            print(
                f"| {name} | {its.seconds:.3f} | {its.cpu_seconds:.3f} | {its.peak_mib:.0f} | {its.lines} "
                f"| {its.seconds / ours.seconds:.1f} | {its.peak_mib / ours.peak_mib:.1f} |"
            )
    if not options.no_screen:
        frames = [first_frame([options.program, options.dump]) for _ in range(options.times)]
        print(f"\nFirst frame of the explorer after {1000 * min(frames):.0f} ms (of {options.times}; slowest {1000 * max(frames):.0f} ms).")


if __name__ == "__main__":
    main()
