"""drgn -q -c DUMP -s VMLINUX stacks.py: the stack of every task."""
from drgn import FaultError
from drgn.helpers.linux.pid import for_each_task

for task in for_each_task(prog):
    print(f"PID: {task.pid.value_()} TASK: {task.value_():x} COMMAND: {task.comm.string_().decode(errors='replace')}")
    try:
        print(prog.stack_trace(task))
    except (FaultError, ValueError) as error:
        print(error)
