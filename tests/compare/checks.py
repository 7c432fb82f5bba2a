"""The checks.  Each yields what is wrong, a line each, and returns what was looked at, in words."""
import itertools
import json
import math
import pathlib
import re
import subprocess
import sys
import tempfile

import reference

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent.parent / "lab"))
import score  # noqa: E402

# Scenarios whose holders leave no trace in a dump, by construction (lab/README.md), and the kinds that they hold.
TRACELESS = {"semaphore", "sem", "percpu", "pcpu1", "pcpu2", "folio", "futex"}
TRACELESS_KINDS = {"semaphore", "percpu_rwsem", "folio", "futex"}
# Kinds whose exclusive holders the kernel's own records name.
RECORDED_HOLDS = {"mutex", "rwsem", "mmap_lock"}
HELD_ALONE = {"excl", "write"}


def address(text):
    return int(text, 16)


def ps(dump, program):
    expected = reference.crash_tasks(dump.golden("ps.txt"))
    got = {address(row["task"]): row for row in program.rows(dump, "ps")}
    for task in expected.keys() - got.keys():
        yield f"not listed: {expected[task]['pid']} {expected[task]['comm']} {task:#x}"
    for task in got.keys() - expected.keys():
        yield f"not in crash's list: {got[task]['pid']} {got[task]['comm']} {task:#x}"
    for task in expected.keys() & got.keys():
        for field, value in expected[task].items():
            shown = got[task][field]
            if field == "mem_percent":
                same = shown is not None and abs(shown - value) < 0.0501
            else:
                same = shown == value
            if not same:
                yield f"pid {expected[task]['pid']} {expected[task]['comm']}: {field} is {value}, not {shown}"
    return f"{len(expected)} tasks as crash has them"


def frames_of(row):
    return [
        (address(frame["pc"]), frame["sp"] and address(frame["sp"]), frame["symbol"])
        for frame in row["frames"]
        if frame["kind"] != "inline"
    ]


def hexes(values):
    return " ".join(f"{value:x}" if value is not None else "?" for value in values)


def first_difference(expected, got):
    for n, (want, have) in enumerate(zip(expected, got)):
        if want != have:
            return f"frame {n} is {hexes(want)}, not {hexes(have)}"
    return f"{len(expected)} frames, not {len(got)}"


def stacks(dump, program):
    """Sleeping tasks as drgn has them, pc and sp; idle ones, which drgn does not list, as crash has them."""
    rows = {address(row["task"]): row for row in program.rows(dump, "foreach bt")}
    active = {task for task, row in reference.crash_tasks(dump.golden("ps.txt")).items() if row["active"]}
    crash = reference.crash_stacks(dump.golden("foreach-bt.txt"))
    drgn = reference.drgn_stacks(dump.golden("drgn.jsonl"))
    compared = 0
    for task in sorted((crash.keys() | drgn.keys()) - active):
        if task not in rows:
            yield f"no trace of task {task:#x}"
            continue
        got = [frame[:2] for frame in frames_of(rows[task])]
        expected = drgn.get(task)
        if not got and not crash.get(task, [True]):
            continue  # a dead task, whose stack has been given back: drgn reads what is left there
        if expected is None:
            expected = [(pc,) for pc, _ in crash[task]]
            got = [(pc,) for pc, _ in got]
        compared += len(expected)
        if got != expected:
            yield f"pid {rows[task]['pid']} {rows[task]['comm']}: {first_difference(expected, got)}"
    return f"{compared} frames of sleeping tasks as drgn has them"


def running(dump, program):
    """Running tasks as crash or drgn has them.

    A CPU stopped by an NMI for a kdump: crash begins with the NMI's handler, drgn with what it interrupted, which
    is what PRSTATUS says.  For idle tasks, which drgn does not list, that part of crash's trace counts as drgn's.
    """
    rows = {address(row["task"]): row for row in program.rows(dump, "foreach bt")}
    active = {task for task, row in reference.crash_tasks(dump.golden("ps.txt")).items() if row["active"]}
    crash = reference.crash_stacks(dump.golden("foreach-bt.txt"))
    drgn = reference.drgn_stacks(dump.golden("drgn.jsonl"))
    for task in sorted(active):
        row = rows.get(task)
        if row is None:
            yield f"no trace of task {task:#x}"
            continue
        got = [pc for pc, _, _ in frames_of(row) if pc >= reference.KERNEL]
        by_crash = [pc for pc, _ in crash.get(task, [])]
        interrupted = next((n for n, (_, name) in enumerate(crash.get(task, [])) if name is None), 0)
        by_drgn = [pc for pc, _ in drgn.get(task, []) if pc >= reference.KERNEL] or by_crash[interrupted:]
        if got not in (by_crash, by_drgn):
            yield (
                f"pid {row['pid']} {row['comm']}: got {hexes(got)} ({row['end']}), "
                f"crash has {hexes(by_crash)}, drgn has {hexes(by_drgn)}"
            )
    return f"{len(active)} running tasks as crash or drgn has them"


def names(dump, program):
    """The names of frames as crash gives them, where both have the same pc.

    The symbol table of a vmlinux has do_execveat_common.isra.0, as kallsyms has: crash cuts that off.
    """
    rows = {address(row["task"]): row for row in program.rows(dump, "foreach bt")}
    compared = 0
    for task, frames in reference.crash_stacks(dump.golden("foreach-bt.txt")).items():
        ours = {pc: symbol for pc, _, symbol in frames_of(rows[task])} if task in rows else {}
        for pc, name in frames:
            if name and pc in ours:
                compared += 1
                if ours[pc] != name and re.sub(r"\.isra\.\d+$", "", ours[pc] or "") != name:
                    yield f"pid {rows[task]['pid']}: {pc:x} is in {name}, not {ours[pc]}"
    return f"{compared} frames named as crash names them"


def lines(dump, program):
    """Inlined functions, files and lines of sleeping tasks as drgn has them; modules' where their debug files are found."""
    if dump.release not in program.vmlinux:
        return f"nothing: no --vmlinux {dump.release}=FILE"
    rows = {address(row["task"]): row for row in program.rows(dump, "foreach bt")}
    active = {task for task, row in reference.crash_tasks(dump.golden("ps.txt")).items() if row["active"]}
    compared = 0
    for task, expected in reference.drgn_lines(dump.golden("drgn.jsonl")).items():
        got = {}
        for frame in rows[task]["frames"] if task in rows and task not in active else []:
            name = frame["symbol"] if frame["kind"] == "inline" else None
            got.setdefault(address(frame["pc"]), []).append((name, frame["file"], frame["line"]))
            if frame["module"] and not frame["file"]:
                expected.pop(address(frame["pc"]), None)
        for pc in expected.keys() & got.keys():
            compared += len(got[pc])
            if got[pc] != expected[pc]:
                yield f"pid {rows[task]['pid']}: {pc:x} is {told(expected[pc])}, not {told(got[pc])}"
    return f"{compared} frames at the lines and with the inlined functions that drgn has"


def told(places):
    return ", ".join(f"{name or 'itself'} {file}:{line}" for name, file, line in places)


def unwinders(dump, program):
    """Sleeping tasks by ORC and by debug information alone: the same frames."""
    if dump.release not in program.vmlinux:
        return f"nothing: no --vmlinux {dump.release}=FILE"
    by_orc = {row["task"]: frames_of(row) for row in program.rows(dump, "foreach bt")}
    active = {row["task"] for row in program.rows(dump, "ps") if row["active"]}
    compared = 0
    for row in program.rows(dump, "foreach bt", "--unwind", "dwarf"):
        if row["task"] not in active:
            got, expected = frames_of(row), by_orc[row["task"]]
            # A module's frame is found by its debug file alone, what follows it too.
            lost = next((n for n, frame in enumerate(row["frames"]) if frame["module"] and not frame["file"]), None)
            if lost is not None:
                known = sum(frame["kind"] != "inline" for frame in row["frames"][: lost + 1])
                got, expected = got[:known], expected[:known]
            compared += len(expected)
            if got != expected:
                got, expected = ([frame[:2] for frame in frames] for frames in (got, expected))
                yield f"pid {row['pid']} {row['comm']}: {first_difference(expected, got)}"
    return f"{compared} frames by call frame information as by ORC"


def local_variables(dump, program):
    """Parameters and variables of sleeping tasks' frames as drgn has them (golden/locals.jsonl, by locals.py).

    drgn does not ask callers what they passed (entry values), so what it has not may well be there.
    """
    if dump.release not in program.vmlinux:
        return f"nothing: no --vmlinux {dump.release}=FILE"
    rows = {row["task"]: row for row in program.rows(dump, "foreach bt -V")}
    active = {row["task"] for row in program.rows(dump, "ps") if row["active"]}
    counts = {"value": 0, "address": 0, "absent": 0, "besides": 0}
    for task in map(json.loads, dump.golden("locals.jsonl").splitlines()):
        if task["task"] in active or task["task"] not in rows:
            continue
        frames = [frame for frame in task["frames"] if int(frame["pc"], 16) >= reference.KERNEL]
        got = [frame for frame in rows[task["task"]]["frames"] if frame["kind"] != "user"]
        if len(got) < len(frames):  # inlined functions of a module without its debug file
            frames = [frame for frame in frames if not frame["inline"]]
            got = [frame for frame in got if frame["kind"] != "inline"]
        lost = False  # registers, in a module without its debug file
        for theirs, ours in zip(frames, got):
            if ours["module"] and not ours["file"]:
                lost = True
                continue
            # Of several of a name in blocks within each other the innermost counts: it comes last.
            known = {local["name"]: local for local in ours.get("locals", ())}
            for name, expected in theirs["locals"].items():
                local = known.get(name)
                kind = next(iter(expected))
                if local is None:
                    yield f"pid {task['pid']} {theirs['name']}: no {name}"
                elif kind == "absent":
                    counts["absent" if "unknown" in local else "besides"] += 1
                elif kind in counts and not (lost and "is not known in this frame" in local.get("unknown", "")):
                    counts[kind] += 1
                    have = local.get(kind)
                    if have != expected[kind]:
                        have = local.get("unknown", have)
                        yield f"pid {task['pid']} {theirs['name']}: {name} is {expected[kind]}, not {have}"
    told = ", ".join(f"{counts[kind]} {kind}" for kind in ("value", "address", "absent"))
    return f"{told} as drgn has them, {counts['besides']} that it has not"


def log(dump, program):
    expected = dump.golden("log.txt").splitlines()
    got = program.text(dump, "log").splitlines()
    for n, (want, have) in enumerate(zip(expected, got)):
        if want != have:
            yield f"line {n + 1} is {want!r}, not {have!r}"
    if len(expected) != len(got):
        yield f"{len(expected)} lines, not {len(got)}"
    return f"{len(expected)} lines"


def mod(dump, program):
    expected = reference.crash_modules(dump.golden("mod.txt"))
    lines = [set(line.split()) for line in program.text(dump, "mod").splitlines()]
    for name, facts in expected.items():
        if not any(facts <= line for line in lines):
            yield f"no line says {' '.join(sorted(facts))}"
    return f"{len(expected)} modules"


def report(dump, program):
    """Every wait, every hold that has left a trace, and nothing that is not so.

    Of the locks that somebody waits for: a report need not list the others.
    """
    truth, said = score.read_truth(dump.path / "truth.json"), program.report(dump)
    waited = {line["lock"] for line in truth if line["rel"] == "waiting"}
    everything = score.Score(truth, said)
    for line, got in everything.missing:
        traceless = line["scenario"] in TRACELESS and line["kind"] in TRACELESS_KINDS
        if line["rel"] == "waiting" or line["lock"] in waited and not traceless:
            yield score.missing(line, got)
    yield from (line for line in everything.details() if line.startswith("wrong"))
    return everything


def waits_for(truth):
    """The graph of the truth: pid -> pids that hold what it waits for."""
    holders = {}
    for line in truth:
        if line["rel"] == "held" and line["kind"] not in score.CONDITIONS:
            holders.setdefault(line["lock"], set()).add(line["pid"])
    graph = {}
    for line in truth:
        if line["rel"] == "waiting":
            graph.setdefault(line["pid"], set()).update(holders.get(line["lock"], set()))
    return graph


def reachable(graph, start):
    seen, todo = set(), list(graph.get(start, ()))
    while todo:
        pid = todo.pop()
        if pid not in seen:
            seen.add(pid)
            todo += graph.get(pid, ())
    return seen


def cycles_of(graph):
    return {
        frozenset(other for other in reachable(graph, pid) if pid in reachable(graph, other))
        for pid in graph
        if pid in reachable(graph, pid)
    }


def cycles(dump, program):
    """The truth's deadlocks and no other."""
    expected = cycles_of(waits_for(score.read_truth(dump.path / "truth.json")))
    got = {frozenset(cycle["tasks"]) for cycle in program.report(dump)["cycles"]}
    for missing in expected - got:
        yield f"not reported: the deadlock of {sorted(missing)}"
    for invented in got - expected:
        yield f"no deadlock: {sorted(invented)}"
    return f"{len(expected)} deadlocks"


def roots(dump, program):
    """Root blockers are tasks that hold something up, and the sure ones are all there."""
    truth = score.read_truth(dump.path / "truth.json")
    graph = waits_for(truth)
    blocking = set().union(*graph.values()) if graph else set()
    waited = {line["lock"] for line in truth if line["rel"] == "waiting"}
    # Behind these nobody stands whom the kernel's records name.
    last = {pid for pid in blocking if not graph.get(pid)}
    named = {
        line["pid"]
        for line in truth
        if line["rel"] == "held" and line["kind"] in RECORDED_HOLDS and line["mode"] in HELD_ALONE and line["lock"] in waited
    }
    got = {root["pid"] for root in program.report(dump)["roots"]}
    for pid in sorted(last & named - got):
        yield f"not named: pid {pid}"
    for pid in sorted(got - blocking - {line["pid"] for line in truth if line["rel"] == "waiting"}):
        yield f"holds nothing up: pid {pid}"
    return f"{len(last & named)} root blockers"


def variants(dump, program):
    """Every file of the same memory gives the same answers, byte for byte.

    Files with the pages of user space may know owners of futexes that files without them cannot know: then there are two
    kinds of files, alike in each, and nothing but futexes and what is told about them tells the kinds apart.
    """
    files = dump.files()
    firsts = {}
    for file in files:
        answer = {
            "ps, foreach bt": program.run("exec", file, "-c", "ps", "-c", "foreach bt", dump=dump),
            "report": program.run("report", file, dump=dump),
            "report --json": program.run("report", "--json", file, dump=dump),
        }
        report = json.loads(answer["report --json"])
        futexes = json.dumps([lock for lock in report["locks"] if lock["kind"] == "futex"])
        answer["report but for futexes"] = json.dumps({
            "locks": [lock for lock in report["locks"] if lock["kind"] != "futex"], "cycles": report["cycles"]
        })
        of_all = next(iter(firsts.values()), None)
        if futexes not in firsts:
            firsts[futexes] = (file, answer)
        for name, ours in answer.items():
            for first, theirs in filter(None, (of_all, firsts[futexes])):
                if name.startswith("report") and name != "report but for futexes" and first != firsts[futexes][0]:
                    continue
                if ours != theirs[name]:
                    pairs = zip(ours.splitlines(), theirs[name].splitlines())
                    line = next((f": {a!r}, not {b!r}" for a, b in pairs if a != b), "")
                    yield f"{name} of {file.name} is not that of {first.name}{line}"
    if len(firsts) > 2:
        yield f"{len(firsts)} different answers about futexes: there are pages of user space, or there are none"
    return f"{len(files)} files alike"


def spelling(instruction):
    """An instruction in words, without what binutils itself spells differently from release to release.

    Since 2.41 a shift by one has its `$1`; eretu (FRED) is newer than most and was `repz clac` before.
    """
    words = re.sub(r"\s*#.*", "", instruction).split()
    if len(words) > 1 and words[-1].startswith("$1,"):
        words[-1] = words[-1][len("$1,"):]
    return ["eretu"] if words == ["repz", "clac"] else words


def objdump(code, at):
    """objdump's instructions of these bytes: {address: text}."""
    with tempfile.NamedTemporaryFile() as file:
        file.write(code)
        file.flush()
        command = ["objdump", "-D", "-b", "binary", "-m", "i386:x86-64", f"--adjust-vma={at:#x}", "-w", "--no-show-raw-insn"]
        said = subprocess.run([*command, file.name], capture_output=True, text=True, check=True).stdout
    found = (re.match(r"\s*([0-9a-f]+):\t(.*)", line) for line in said.splitlines())
    return {int(match[1], 16): match[2] for match in found if match}


def dis(dump, program, functions=200):
    """Every k-th function by name is what objdump makes of the bytes that `rd` prints.

    Left out are bytes that are no instruction for us: in the kernel's text that is data, which objdump prints in
    its own ways (`.byte`, a prefix alone).
    """
    start, end = (address(program.rows(dump, f"sym {name}")[0]["address"]) for name in ("_stext", "_etext"))
    text = [row for row in program.rows(dump, "sym -l") if row["type"] in "tTwW" and not row["module"]]
    text = sorted({(row["name"], address(row["address"])) for row in text if start <= address(row["address"]) < end})
    compared = 0
    chosen = text[:: max(1, len(text) // functions)][:functions]
    functions = program.many(dump, [f"dis -f {at:#x}" for _, at in chosen])
    lengths = [sum(len(row["bytes"]) // 2 for row in rows) for rows in functions]
    memory = program.many(dump, [f"rd -8 {at:#x} {length}" for (_, at), length in zip(chosen, lengths)])
    for (name, at), rows, lines in zip(chosen, functions, memory):
        expected = objdump(bytes.fromhex(" ".join(line["words"] for line in lines)), at)
        for row in rows:
            if row["mnemonic"] == "(bad)":
                continue
            compared += 1
            want = spelling(expected.get(address(row["address"]), ""))
            got = spelling(f"{row['mnemonic']} {row['operands']}")
            if got != want:
                yield f"{name} {row['address']}: {' '.join(want)!r}, not {' '.join(got)!r}"
            branch = re.fullmatch(r"0x[0-9a-f]+", row["operands"])
            if branch and row["target"] != row["operands"]:
                yield f"{name} {row['address']}: its target is {row['operands']}, not {row['target']}"
    return f"{compared} instructions of {len(chosen)} functions as objdump has them"


def addresses(dump, program):
    """What is at an address, as drgn has it (golden/addresses.jsonl, by addresses.py)."""
    expected = [json.loads(line) for line in dump.golden("addresses.jsonl").splitlines()]
    rows = program.rows(dump, "kmem " + " ".join(line["address"] for line in expected))
    told = {}
    for want, row in zip(expected, rows, strict=True):
        wrong = identity_differs(want, row)
        told[want["kind"]] = told.get(want["kind"], 0) + 1
        if wrong:
            yield f"{want['address']}: {wrong} ({row['text']})"
    return ", ".join(f"{count} {kind}" for kind, count in told.items())


def identity_differs(want, row):
    if want["kind"] == "slab":
        fields = ["cache_name", "cache"]
        # Room around the slab's objects belongs to none of them; drgn takes it for one more.
        if row["object"] is not None:
            fields += ["object", "object_size", "allocated"]
    else:
        fields = {
            "struct page": ["pfn"],
            "task": ["task"],
            "stack": ["task"],
            "vmalloc": [],
            "symbol": ["symbol_offset"],
            "area": ["area_start", "area_end"],
        }[want["kind"]]
        kinds = {"symbol": ["code", "data"], "area": [row["kind"]], "vmalloc": ["vmalloc", "nothing"]}
        if row["kind"] not in kinds.get(want["kind"], [want["kind"]]):
            return f"is a {want['kind']}, not a {row['kind']}"
    for field in fields:
        if row[field] != want[field]:
            return f"{field} is {want[field]}, not {row[field]}"
    return None


def slabs(dump, program):
    """The table of slab caches as crash has it (golden/kmem-s.txt), or with drgn's count (slabs.jsonl) of objects.

    Where a CPU was stopped in the middle of freeing, crash and drgn count differently.
    """
    drgns = dump.golden_file("slabs.jsonl")
    counts = drgns.read_text().splitlines() if drgns.exists() else []
    counted = {row["cache"]: str(row["allocated"]) for row in map(json.loads, counts)}
    expected = [line.split() for line in dump.golden("kmem-s.txt").splitlines() if line.strip()]
    got = [line.split() for line in program.text(dump, "kmem -s").splitlines() if line.strip()]
    for want, have in itertools.zip_longest(expected, got, fillvalue=[]):
        other = [*want[:2], counted.get(want[0]), *want[3:]] if want else want
        if have not in (want, other):
            yield f"{want!r}, not {have!r}"
    return f"{len(expected)} lines"


def memory(dump, program):
    """What memory is used for as crash has it (golden/kmem-i.txt)."""
    expected = [line for line in dump.golden("kmem-i.txt").splitlines() if line.strip()]
    got = [line for line in program.text(dump, "kmem -i").splitlines() if line.strip()]
    for want, have in itertools.zip_longest(expected, got):
        if want != have:
            yield f"{want!r}, not {have!r}"
    return f"{len(expected)} lines"


def expressions(dump, program):
    """C expressions come to what drgn says."""
    expected = [json.loads(line) for line in dump.golden("expressions.jsonl").splitlines()]
    answers = program.answers(dump, [f"p {line['expression']}" for line in expected])
    for line, answer in zip(expected, answers):
        got = answer.get("value", answer.get("error"))
        if got != line["value"]:
            yield f"{line['expression']} is {line['value']}, not {got}"
    return f"{len(expected)} expressions as drgn has them"


def marked(lines):
    """The members of `struct -o` that tell their offset, and the size.

    In a member whose type has no name crash tells those of outer members of the same name: not taken.
    """
    found = [member for line in lines if (member := re.fullmatch(r" *\[(\d+)\]( *)(.*)", line))]
    outer = {(member[1], member[3]) for member in found if len(member[2]) == 1}
    found = [member for member in found if len(member[2]) == 1 or (member[1], member[3]) not in outer]
    members = [(int(member[1]), flat(member[3]).replace("[0];", "[];")) for member in found]
    return [*members, next((line for line in lines if line.startswith("SIZE")), None)]


def structs(dump, program):
    """Structs have the members, offsets and sizes that crash prints.

    crash tells no offsets inside a member whose type has no name: there only ours are, and no more is wrong.
    """
    expected = reference.crash_structs(dump.golden("structs.txt"))
    answers = program.answers(dump, [f"struct -o {name}" for name in expected])
    members = 0
    for (name, lines), answer in zip(expected.items(), answers):
        got = marked(answer.get("lines", []))
        silent = any(not re.match(r" *\[", line) and re.search(r"[^{}]; *$|<no data", line) for line in lines)
        ours = iter(got)
        missing = next((member for member in marked(lines) if member not in ours), None)
        members += len(got) - 1
        if missing:
            yield f"struct {name}: no {missing} in its place; {answer.get('error', '')}"
        elif not silent and len(got) != len(marked(lines)):
            yield f"struct {name}: {len(marked(lines)) - 1} members, not {len(got) - 1}"
    return f"{len(expected)} structs as crash has them, {members} members"


def dwarf(dump, program):
    """The vmlinux's DWARF alone gives the answers that BTF gives: tasks, stacks, the report, structs."""
    if dump.release not in program.vmlinux:
        return "no vmlinux of this release named"
    names = reference.crash_structs(dump.golden("structs.txt"))
    commands = ["ps", "foreach bt", *(f"struct -o {name}" for name in names)]
    arguments = ["exec", dump.file, *(word for command in commands for word in ("-c", command)), "--json"]
    pairs = zip(
        *(json.loads(program.run(*arguments, *more, dump=dump, may_fail=True)) for more in ([], ["--no-btf"]))
    )
    for of_btf, of_dwarf in pairs:
        of_btf, of_dwarf = (flat(json.dumps(answer, sort_keys=True)) for answer in (of_btf, of_dwarf))
        if of_btf != of_dwarf:
            place = next((n for n, (a, b) in enumerate(zip(of_btf, of_dwarf)) if a != b), 0)
            around = slice(max(place - 60, 0), place + 60)
            yield f"BTF: …{of_btf[around]}…, DWARF: …{of_dwarf[around]}…"
    reports = [program.run("report", "--json", dump.file, *more, dump=dump) for more in ([], ["--no-btf"])]
    if reports[0] != reports[1]:
        yield "another report"
    return f"{len(commands)} answers and the report as with BTF"


def flat(text):
    """Arrays of several dimensions as BTF has them: with their product for one dimension."""
    return re.sub(r"(?:\[\d+\]){2,}", lambda dims: f"[{math.prod(map(int, re.findall(r'[0-9]+', dims[0])))}]", text)


# By the file in golden/ that they need beside the others.
WITH_FILE = {
    addresses: "addresses.jsonl",
    slabs: "kmem-s.txt",
    memory: "kmem-i.txt",
    local_variables: "locals.jsonl",
    expressions: "expressions.jsonl",
    structs: "structs.txt",
    dwarf: "structs.txt",
}
WITH_GOLDEN = [ps, stacks, running, names, lines, unwinders, log, mod]
WITH_TRUTH = [report, cycles, roots]
ALWAYS = [variants, dis]
