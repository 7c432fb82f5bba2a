"""drgn: what C expressions over this dump come to, a JSON line each.  Run as `drgn -c DUMP -s VMLINUX expressions.py`.

Each expression is written twice, as C and as Python over drgn's objects, which compute as C does.
"""
import json

from drgn import FaultError, Object, TypeKind, cast, container_of, offsetof, sizeof
from drgn.helpers.linux.percpu import per_cpu
from drgn.helpers.linux.pid import find_task

I, U, L, UL = (lambda value, of=of: Object(prog, of, value) for of in ("int", "unsigned int", "long", "unsigned long"))  # noqa: F821
prog = prog  # noqa: F821


def plain(value):
    """A value as hangscope's JSON has it."""
    if not isinstance(value, Object):
        return int(value)
    ty = value.type_
    while ty.kind == TypeKind.TYPEDEF:
        ty = ty.type
    if ty.kind == TypeKind.POINTER:
        return f"{value.value_():#x}"
    if ty.kind == TypeKind.BOOL:
        return bool(value)
    if ty.kind == TypeKind.ENUM:
        number = value.value_()
        return next((name for name, of in ty.enumerators or () if of == number), number)
    if ty.kind == TypeKind.ARRAY:
        of = ty.type
        while of.kind == TypeKind.TYPEDEF:
            of = of.type
        return value.string_().decode() if of.name == "char" else [plain(element) for element in value]
    return value.value_()


def arithmetic():
    pairs = [("-7", I(-7), "3u", U(3)), ("1099511627776L", L(1 << 40), "5", I(5)), ("0xffffffffu", U(0xFFFFFFFF), "2UL", UL(2))]
    for a, x, b, y in pairs:
        for sign, of in [
            ("+", lambda: x + y), ("-", lambda: x - y), ("*", lambda: x * y), ("/", lambda: x / y), ("%", lambda: x % y),
            ("&", lambda: x & y), ("|", lambda: x | y), ("^", lambda: x ^ y), ("<<", lambda: x << y), (">>", lambda: x >> y),
            ("<", lambda: x < y), (">", lambda: x > y), ("<=", lambda: x <= y), (">=", lambda: x >= y), ("==", lambda: x == y), ("!=", lambda: x != y),
        ]:
            yield f"({a} {sign} {b})", of()
    yield "~5u", ~U(5)
    yield "-5u", -U(5)
    yield "!5", not I(5)
    yield "2147483647 + 1", I(2147483647) + I(1)
    for name, number, text in [
        ("char", -56, "200"), ("unsigned char", -1, "-1"), ("short", 70000, "70000"), ("unsigned short", -1, "-1"),
        ("int", 0xFFFFFFFFFF, "0xffffffffffUL"), ("unsigned long", -1, "-1"), ("_Bool", 5, "5"), ("enum pid_type", 1, "1"), ("pid_t", -3, "-3"),
    ]:
        yield f"({name}){text}", cast(name, L(number))


def objects():
    init = prog["init_task"]
    for member in [
        "pid", "comm", "flags", "prio", "policy", "mm", "stack", "active_mm", "tasks.next", "se.load.weight", "se.on_rq", "cpus_mask.bits",
        "sched_reset_on_fork", "in_execve", "sched_migrated", "no_cgroup_migration", "sched_class", "thread.sp", "on_cpu", "usage.refs.counter",
    ]:
        value = init
        for step in member.split("."):
            value = value.member_(step)
        yield f"init_task.{member}", value
    yield "init_task.active_mm->pgd", init.active_mm.pgd
    yield "init_task.signal->nr_threads", init.signal.nr_threads
    yield "init_task.nsproxy->uts_ns->name.release", init.nsproxy.uts_ns.name.release
    yield "init_task.real_parent->comm", init.real_parent.comm
    yield "init_task.comm[3]", init.comm[3]
    yield "init_task.flags & 0xff", init.flags & I(0xFF)
    yield "init_task.prio * 1000 / 7", init.prio * I(1000) / I(7)
    yield "init_task.sched_migrated - 1", init.sched_migrated - I(1)
    yield "&init_task.comm[4] - init_task.comm", init.comm[4].address_of_() - (init.comm + 0)
    yield "*&init_task.tasks.next->prev", init.tasks.next.prev
    yield "PIDTYPE_SID", prog["PIDTYPE_SID"]
    yield "PIDTYPE_SID + 1", prog["PIDTYPE_SID"] + I(1)
    for pid in [1, 2, 3, 10, 15]:
        task = find_task(prog, pid)
        if not task:
            continue
        at = f"((struct task_struct *){task.value_():#x})"
        yield f"{at}->comm", task.comm
        yield f"{at}->real_parent", task.real_parent
        yield f"container_of(&{at}->tasks, struct task_struct, tasks)->pid", container_of(task.tasks.address_of_(), "struct task_struct", "tasks").pid
        yield f"({at} + 1) - {at}", (task + 1) - task
        yield f"(unsigned long){at} >> 12", cast("unsigned long", task) >> I(12)
        yield f"{at}->mm ? {at}->mm->total_vm : 0", task.mm.total_vm if task.mm else UL(0)
        yield f"*(struct task_struct **)&{at}->parent", task.parent
    for cpu in range(int(prog["nr_cpu_ids"])):
        rq = per_cpu(prog["runqueues"], cpu)
        yield f"runqueues:{cpu}.nr_running", rq.nr_running
        yield f"runqueues:{cpu}.curr->comm", rq.curr.comm
        yield f"per_cpu(runqueues, {cpu}).clock / 1000", rq.clock / I(1000)
        yield f"&per_cpu(runqueues, {cpu})", rq.address_of_()
    for name in ["struct task_struct", "struct page", "struct mm_struct", "pid_t", "struct list_head *", "char [7]"]:
        yield f"sizeof({name})", UL(sizeof(prog.type(name)))
    for name, member in [("struct task_struct", "thread.sp"), ("struct page", "lru"), ("struct mm_struct", "mmap_lock"), ("struct task_struct", "comm[5]")]:
        yield f"offsetof({name}, {member})", UL(offsetof(prog.type(name), member))


for expressions in (arithmetic, objects):
    produced = expressions()
    while True:
        try:
            expression, value = next(produced)
            print(json.dumps({"expression": expression, "value": plain(value)}))
        except StopIteration:
            break
        except FaultError:  # excluded from the dump
            continue
