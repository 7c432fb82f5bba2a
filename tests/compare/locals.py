"""drgn -q -c DUMP -s VMLINUX locals.py: the parameters and variables of every frame of every task as drgn sees them, one JSON object a line."""
import json

from drgn import FaultError, TypeKind
from drgn.helpers.linux.pid import for_each_task


def value(variable):
    """What the program's JSON has for it: a place, a value, or that there is none."""
    if variable.absent_:
        return {"absent": True}
    if variable.address_ is not None:
        return {"address": hex(variable.address_)}
    kind = variable.type_
    while kind.kind == TypeKind.TYPEDEF:
        kind = kind.type
    if kind.kind == TypeKind.ENUM:
        names = [name for name, number in kind.enumerators or () if number == variable.value_()]
        return {"value": names[0] if names else variable.value_()}
    if kind.kind == TypeKind.POINTER:
        return {"value": hex(variable.value_())}
    if kind.kind in (TypeKind.INT, TypeKind.BOOL):
        return {"value": variable.value_()}
    return {"other": str(kind.kind)}


def variables(frame):
    found = {}
    for name in frame.locals():
        try:
            found[name] = value(frame[name])
        except (FaultError, LookupError, NotImplementedError) as error:
            found[name] = {"error": str(error)}
    return found


for task in for_each_task(prog):
    try:
        trace = prog.stack_trace(task)
    except (FaultError, ValueError):
        continue
    frames = []
    for frame in trace:
        try:
            frames.append({"pc": hex(frame.pc), "name": frame.name, "inline": frame.is_inline, "locals": variables(frame)})
        except LookupError:
            continue
    print(json.dumps({"pid": task.pid.value_(), "task": hex(task.value_()), "frames": frames}))
