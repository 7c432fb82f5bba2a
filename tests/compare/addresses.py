"""drgn -q -c DUMP -s VMLINUX addresses.py: some 300 addresses, always the same ones of a dump, and what drgn knows of each.

One JSON object a line: slab objects from slabs all over memory with whether drgn holds them for allocated,
functions and variables, places on task stacks, vmalloc areas, struct pages.
"""
import json

from drgn import FaultError
from drgn.helpers.linux.mm import PageSlab, compound_head, for_each_page, for_each_vmap_area, page_to_pfn, page_to_virt
from drgn.helpers.linux.pid import for_each_task
from drgn.helpers.linux.slab import slab_object_info

SLABS, OTHERS = 220, 20


def some(found, count):
    """`count` of them, spread evenly."""
    found = list(found)
    return [found[n * len(found) // count] for n in range(min(count, len(found)))]


def is_slab(page):
    try:
        return bool(PageSlab(compound_head(page)))
    except FaultError:
        return False


def say(address, **facts):
    print(json.dumps({"address": hex(address), **facts}))


pages = [page for page in for_each_page(prog) if is_slab(page)]
for n, page in enumerate(some(pages, SLABS)):
    # Any place in the page, so that some are between objects.
    address = page_to_virt(page).value_() + n * 2654435761 % 4096
    found = slab_object_info(prog, address)
    if not found:
        continue
    start, size = found.address, found.slab_cache.object_size.value_()
    inside = 0 <= address - start < found.slab_cache.size.value_()
    say(
        address, kind="slab", cache_name=found.slab_cache.name.string_().decode(), cache=hex(found.slab_cache),
        object=hex(start), object_size=size, allocated=found.allocated, inside=inside,
    )
for page in some(pages, OTHERS):
    say(page.value_() + 8, kind="struct page", pfn=page_to_pfn(page).value_())
for task in some(for_each_task(prog), OTHERS):
    say(task.value_() + 16, kind="task", task=hex(task))
    stack = task.stack_vm_area.addr.value_() if hasattr(task, "stack_vm_area") and task.stack_vm_area else 0
    if stack:
        say(stack + 0x3f00, kind="stack", task=hex(task))
        say(stack + 0x4000, kind="vmalloc", task=None)
for symbol in some((s for s in prog.symbols() if s.size > 16 and s.address >> 31 == 0x1FFFFFFFF), OTHERS):
    say(symbol.address + 9, kind="symbol", symbol=symbol.name, symbol_offset=9)
for area in some(for_each_vmap_area(prog), OTHERS):
    say(area.va_start.value_() + 64, kind="area", area_start=hex(area.va_start), area_end=hex(area.va_end))
