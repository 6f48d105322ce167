"""A journal on a littlefs that fills up, and what an append and an opening cost.

`micropython journal_full.py FIRMWARE SHIMS SCENE`; prints one line of JSON.
"""

import gc
import io
import json
import os
import sys

import vfs

sys.path.insert(0, sys.argv[1])
sys.path.append(sys.argv[2])

from flashdev import BLOCK, FlashDevice
from node.errors import JournalError
from node.store.journal import Journal

ALL = 1 << 30


def mounted(blocks):
    device = FlashDevice(io.BytesIO(b"\xff" * (blocks * BLOCK)), 0, blocks * BLOCK, None)
    vfs.VfsLfs2.mkfs(device, progsize=32, readsize=32, lookahead=32)
    vfs.mount(vfs.VfsLfs2(device, progsize=32, readsize=32, lookahead=32), "/f")
    return device


def opened():
    return Journal("/f/journal", epoch_source=lambda: 7)


def state(journal):
    records = journal.oldest(ALL, ALL)
    return [journal.depth, journal.dropped, journal.next_sequence, journal.corrupt, records]


def fill(name):
    try:
        with open(name, "wb") as file:
            while True:
                file.write(b"z" * BLOCK)
                file.flush()
    except OSError as e:
        return e.errno


def full():
    """24 blocks, 900 records of 100 bytes, then a file that takes what is left."""
    mounted(24)
    journal = opened()
    for n in range(900):
        journal.append(b"%3d" % n + b"y" * 97, (0, 0, 0, 0, 0, 1, 0, 0, 0, 2)[n % 10])
    errno = fill("/f/alien")
    for n in range(30):
        journal.append(b"%3d" % n + b"y" * 97)
    same = state(journal) == state(opened())
    trimmed = opened().trim(7, [(1, 700)])
    after = opened()
    return {
        "errno": errno,
        "same": same,
        "dropped": [journal.dropped[p] for p in range(3)],
        "depth": journal.depth,
        "next": journal.next_sequence,
        "corrupt": journal.corrupt,
        "trimmed": trimmed,
        "left": after.depth,
        "found": len(after.oldest(ALL, ALL)),
    }


def alien():
    """Nothing of what fills the flash is the journal's."""
    mounted(16)
    fill("/f/alien")
    try:
        for _ in range(100):
            opened().append(b"y" * 100)
    except JournalError as e:
        os.remove("/f/alien")
        return {"cause": e.cause, "next": opened().append(b"x")}


def cost():
    """Flash operations of an append of 16 bytes, and the heap that an open journal keeps."""
    device = mounted(200)
    journal = opened()
    for _ in range(5000):
        journal.append(b"x" * 16)
    operations, erases = device.operations, device.erases
    journal = None
    gc.collect()
    before = gc.mem_alloc()
    journal = opened()
    gc.collect()
    heap = gc.mem_alloc() - before
    return {
        "segments": len(os.listdir("/f/journal")) - 1,
        "depth": journal.depth,
        "operations": operations,
        "erases": erases,
        "heap": heap,
    }


print(json.dumps({"full": full, "alien": alien, "cost": cost}[sys.argv[3]]()))
