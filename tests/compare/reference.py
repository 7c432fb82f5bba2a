"""What crash and drgn said about a dump, read from its golden/ folder, in the program's own terms."""
import json
import re

KERNEL = 1 << 63


def crash_tasks(text):
    """crash's `ps` -> {task address: row}."""
    tasks = {}
    for line in text.splitlines()[1:]:
        pid, ppid, cpu, task, state, percent, vsz, rss, comm = line[1:].split(None, 8)
        if comm.startswith("[") and comm.endswith("]"):  # its mark of a task without a user address space
            comm = comm[1:-1]
        tasks[int(task, 16)] = {
            "pid": int(pid), "ppid": int(ppid), "cpu": int(cpu), "state": state, "active": line[0] == ">",
            "comm": comm, "vsz_kib": int(vsz), "rss_kib": int(rss), "mem_percent": float(percent),
        }
    return tasks


def crash_stacks(text):
    """crash's `foreach bt` -> {task address: [(pc, name)]}, the kernel's frames from the innermost on.

    An exception frame is a frame too, at the RIP that it saved, without a name.  crash sometimes lists that
    place a second time: that one is left out.
    """
    stacks, frames = {}, None
    for line in text.splitlines():
        if head := re.match(r"PID: \d+ +TASK: ([0-9a-f]+)", line):
            frames = stacks.setdefault(int(head[1], 16), [])
        elif frame := re.match(r" *#\d+ \[[0-9a-f]+\] (\S+) at ([0-9a-f]{16})", line):
            frames.append((int(frame[2], 16), frame[1]))
        elif saved := re.match(r" +RIP: ([0-9a-f]{16})", line):
            frames.append((int(saved[1], 16), None))
    return {task: once([frame for frame in frames if frame[0] >= KERNEL]) for task, frames in stacks.items()}


def once(frames):
    return [frame for n, frame in enumerate(frames) if n == 0 or frame[0] != frames[n - 1][0]]


def crash_modules(text):
    """crash's `mod` -> {name: the words of its line that are facts}."""
    modules = {}
    for line in text.splitlines()[1:]:
        address, name, base, size = line.split()[:4]
        modules[name] = {address, name, base, size}
    return modules


def crash_structs(text):
    """crash's `struct -o`, one after the other -> {name: lines}."""
    structs, lines = {}, []
    for line in text.splitlines():
        if line.startswith(("struct ", "union ", "typedef ")):
            lines = []
        lines.append(line.rstrip())
        if line.startswith("SIZE: "):
            structs[lines[0].split()[1]] = lines
            lines = []
    return structs


def drgn_stacks(text):
    """golden.py's lines -> {task address: [(pc, sp)]}, inline frames left out."""
    stacks = {}
    for line in text.splitlines():
        task = json.loads(line)
        stacks[int(task["task"], 16)] = [
            (int(frame["pc"], 16), int(frame["sp"], 16) if frame["sp"] else None)
            for frame in task["frames"]
            if not frame["inline"] and frame["pc"]
        ]
    return stacks


def drgn_lines(text):
    """golden.py's lines -> {task address: {pc: [(name where inlined, file, line)]}}, the kernel's frames alone."""
    stacks = {}
    for line in text.splitlines():
        task = json.loads(line)
        places = stacks.setdefault(int(task["task"], 16), {})
        for frame in task["frames"]:
            if frame["pc"] and int(frame["pc"], 16) >= KERNEL:
                name = frame["name"] if frame["inline"] else None
                places.setdefault(int(frame["pc"], 16), []).append((name, frame["file"], frame["line"]))
    return stacks
