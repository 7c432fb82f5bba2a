"""drgn -q -c DUMP -s VMLINUX golden.py: all tasks, idle ones too, with their stacks as drgn sees them, one JSON object a line."""
import itertools
import json

from drgn import FaultError
from drgn.helpers.linux.cpumask import for_each_online_cpu
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import idle_task, task_cpu, task_state_to_char


def register(read):
    try:
        return hex(read())
    except (LookupError, ValueError):
        return None


def source(frame):
    try:
        return frame.source()[:2]
    except LookupError:
        return None, None


def stack(task):
    try:
        trace = prog.stack_trace(task)
    except (FaultError, ValueError) as error:
        return [], str(error)
    frames = []
    for frame in trace:
        file, line = source(frame)
        frames.append({
            "name": frame.name, "inline": frame.is_inline, "interrupted": frame.interrupted,
            "pc": register(lambda: frame.pc), "sp": register(lambda: frame.sp), "file": file, "line": line,
        })
    return frames, None


idle_tasks = (idle_task(prog, cpu) for cpu in for_each_online_cpu(prog))
for task in itertools.chain(idle_tasks, for_each_task(prog)):
    frames, error = stack(task)
    print(json.dumps({
        "pid": task.pid.value_(), "tgid": task.tgid.value_(), "ppid": task.real_parent.tgid.value_(),
        "task": hex(task.value_()), "cpu": task_cpu(task), "state": task_state_to_char(task),
        "comm": task.comm.string_().decode(errors="backslashreplace"), "frames": frames, "error": error,
    }))
