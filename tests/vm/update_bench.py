"""Verifies and builds one release as a node does, in this VM's heap.

`micropython -X heapsize=N update_bench.py FIRMWARE FOLDER WHAT`: FOLDER has the files `trust`,
`digest` and `job` (an update's file) and its blocks; WHAT is `verify`, `apply` or `nothing`. The
last line printed is JSON.
"""

import gc
import hashlib
import json
import sys
import time

gc.threshold(4096)  # as node/main.py
FIRMWARE, FOLDER, WHAT = sys.argv[1:4]
sys.path[:] = [FIRMWARE, FOLDER, ".frozen"]


class _Slots:
    """Stands for node.update.slots, which needs a chip's NVS."""


def _read(name):
    with open(FOLDER + "/" + name, "rb") as file:
        return file.read()


def _job():
    from node.update import job

    job.load.__globals__["FOLDER"] = FOLDER  # the module itself has another name
    found = job.load()
    assert found is not None
    return found


def verify():
    from node.update import manifest

    held = _job()
    m, _ = manifest.verify(held.bytes(0, held.envelope), held.assignment.digest, _read("trust"))
    here = manifest.Here(1, 1, m.role, m.board, manifest.abi(), manifest.runtime(), 1)
    manifest.judge(m, False, held.assignment, here)


def apply():
    from node.update import image, parts

    held = _job()
    m = parts.manifest_of(held)
    with open(FOLDER + "/base", "rb") as base:
        image.to_file(held, m.components[0], base, FOLDER + "/built", lambda: False)


gc.collect()
held = gc.mem_alloc()
began = time.ticks_us()
{"verify": verify, "apply": apply, "nothing": lambda: None}[WHAT]()
took = time.ticks_diff(time.ticks_us(), began)
print(json.dumps({"us": took, "before": held, "free": gc.mem_free()}))
assert hashlib
