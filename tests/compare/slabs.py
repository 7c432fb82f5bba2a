"""drgn -c DUMP -s VMLINUX slabs.py: of every slab cache how many objects are in use, one JSON object a line.

Each object is looked at by itself.  The counters that crash and slab_cache_usage() go by leave out what lies free on the list
of the slab that a CPU works on, or freed from afar: of 106 task_structs (102 tasks, 3 idle ones and a dying one) they saw 108, 109.
"""
import json

from drgn.helpers.linux.slab import for_each_slab_cache, slab_cache_for_each_allocated_object

for cache in for_each_slab_cache(prog):  # noqa: F821 (drgn's)
    allocated = sum(1 for _ in slab_cache_for_each_allocated_object(cache, "char"))
    print(json.dumps({"cache": f"{cache.value_():016x}", "allocated": allocated}))
