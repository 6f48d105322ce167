"""Counts the erases of each sector through days of a gas meter's journal, on the real VfsLfs2.

`micropython journal_wear.py FIRMWARE SHIMS DAYS`: 24 records and a receipt a day, in a `vfs` of
4 MiB boards that holds a slot as well. The last line printed is JSON.
"""

import io
import json
import sys

import vfs

sys.path.insert(0, sys.argv[1])
sys.path.append(sys.argv[2])

from flashdev import FlashDevice
from node.store.journal import Journal
from node.wire import uplink

BLOCKS = 168
SLOT = 150_000  # bytes


class Counting(FlashDevice):
    """Erases by sector."""

    def __init__(self, file):
        super().__init__(file, 0, BLOCKS * 4096, None)
        self.by_block = [0] * BLOCKS

    def _erase(self, block):
        self.by_block[block] += 1
        super()._erase(block)


device = Counting(io.BytesIO(b"\xff" * (BLOCKS * 4096)))
vfs.VfsLfs2.mkfs(device, progsize=32, readsize=32, lookahead=32)
vfs.mount(vfs.VfsLfs2(device, progsize=32, readsize=32, lookahead=32), "/f")
with open("/f/a.romfs", "wb") as file:
    file.write(b"\x55" * SLOT)
journal = Journal("/f/journal", 2048, 64, lambda: 7, 36)  # as store/lazy.py
records = 0
now = 1_780_300_800
for _day in range(int(sys.argv[3])):
    for hour in range(24):
        now += 3600
        values = [(1, records * 10)] + ([(6, records * 10)] if hour == 15 else [])
        journal.append(uplink.encode_body(now, 0, values))
        records += 1
    journal.trim(7, [(1, records)])
worn = device.by_block
print(json.dumps({"records": records, "erases": sum(worn), "most": max(worn), "blocks": BLOCKS}))
