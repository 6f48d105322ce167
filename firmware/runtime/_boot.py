"""Frozen start of the hardened runtime, in place of MicroPython's own: watchdog first, then the
file system; where that does not mount, the rescue partition stands at `/`, with its own boot.py.

MicroPython's `inisetup` formats a file system whose first block is erased and loops for ever over
one that is damaged, with no watchdog: a node in the field must do neither. What is lost is not
formatted here, but by the rescue application, once the fleet knows (firmware/rescue/main.py).
"""

import machine

# As in boot.py, which constructs it again.
wdt = machine.WDT(timeout=600_000)

import gc  # noqa: E402  nothing may come before the watchdog
import os  # noqa: E402
import sys  # noqa: E402

import vfs  # noqa: E402
from esp32 import Partition  # noqa: E402


def mounted(label: str, readonly: bool) -> bool:
    """Whether the littlefs of this partition stands at `/` now, with a supervisor in it."""
    try:
        vfs.umount("/")
    except OSError:
        pass  # nothing stands there yet
    try:
        part = Partition.find(Partition.TYPE_DATA, label=label)[0]
        files = vfs.VfsLfs2(part, progsize=32, readsize=32, lookahead=32)
        vfs.mount(files, "/", readonly=readonly)
        os.stat("/boot.py")  # not there: it was being made anew when the power failed
    except (OSError, IndexError) as e:
        sys.print_exception(e)
        return False
    return True


# Twice: a supply that dips has flash read wrong once.
if not (mounted("vfs", False) or mounted("vfs", False)):
    sys.stdout.write("kapok: the file system is lost, so the rescue partition stands in for it\n")
    mounted("rescue", True)
del mounted
gc.collect()
