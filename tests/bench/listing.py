"""drgn -q -c DUMP -s VMLINUX listing.py: the columns of `ps` for every task, as a drgn user would print them.

A process's memory is counted once, not again for each of its threads: drgn shall not look slower than it is.
"""
import functools

from drgn import Object
from drgn.helpers.linux.mm import task_rss, totalram_pages
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.sched import task_cpu, task_state_to_char

page_kib = prog["PAGE_SIZE"].value_() // 1024
total_kib = totalram_pages(prog) * page_kib


@functools.cache
def memory(mm, leader):
    task = Object(prog, "struct task_struct *", leader)
    return task.mm.total_vm.value_() * page_kib, task_rss(prog, task).total * page_kib


for task in for_each_task(prog):
    mm = task.mm.value_()
    vsz, rss = memory(mm, task.group_leader.value_()) if mm else (0, 0)
    print(
        f"{task.pid.value_():8} {task.real_parent.tgid.value_():8} {task_cpu(task):3} {task.value_():x} "
        f"{task_state_to_char(task)} {100 * rss / total_kib:5.1f} {vsz:8} {rss:8} {task.comm.string_().decode(errors='replace')}"
    )
