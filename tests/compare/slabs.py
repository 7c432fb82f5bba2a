"""drgn -c DUMP -s VMLINUX slabs.py: of every slab cache how many objects are in use, one JSON object a line.

Counts of crash and drgn differ where a CPU was stopped in the middle of freeing: tests/compare wants one of them.
"""
import json

from drgn.helpers.linux.slab import for_each_slab_cache, slab_cache_usage

for cache in for_each_slab_cache(prog):  # noqa: F821 (drgn's)
    usage = slab_cache_usage(cache)
    print(json.dumps({"cache": f"{cache.value_():016x}", "allocated": usage.num_objs - usage.free_objs}))
