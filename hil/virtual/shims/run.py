"""Bootstrap of the VM: shims, clock and flash first, then boot.py and main.py as on the chip."""

import gc
import json
import os
import select  # noqa: F401
import struct
import sys
import time
from asyncio import core

import _link
import _ops
import _partition
import _pin
import _power
import esp32  # noqa: F401  imported while the shims can still be found
import machine  # noqa: F401
import network  # noqa: F401
import utime
import vfs
from flashdev import FlashDevice

_EPOCH = 946684800


def _on_cut():
    flash = _link.flash
    _link.call(_ops.CUT, struct.pack("<II", flash.programs, flash.erases))
    _link.halt()


def _clock(hello):
    _link.boot_us = hello["boot_us"]
    time.rtc_us = hello["rtc_us"]
    # The C task queue stamps runnable tasks with the real 64-bit clock. Timers lie far ahead of
    # it, so that a runnable task never seems to wait for real time to pass.
    ahead = utime.ticks_ms() + (1 << 40)
    core.ticks = lambda: ahead + _link.since_boot() // 1000
    core.ticks_add, core.ticks_diff = utime.ticks_add, utime.ticks_diff


def _storage(hello):
    image = open(hello["flash"], "r+b")  # noqa: SIM115  open for the VM's life
    after, mode = hello["cut"] or (None, "clean")
    where = (hello["vfs_offset"], hello["vfs_size"])
    _link.flash = FlashDevice(image, *where, _on_cut, after, mode)
    _partition.setup(
        hello["partitions"], lambda offset, size: FlashDevice(image, offset, size, _on_cut)
    )
    vfs.umount("/")
    vfs.mount(vfs.VfsLfs2(_link.flash, progsize=32, readsize=32, lookahead=32), "/")
    os.chdir("/")


def _start():
    _link.attach(int(sys.argv[1]))
    hello = json.loads(_link.call(_ops.HELLO))
    _power.boot.update(cause=hello["cause"], wake=hello["wake"], mac=bytes(hello["mac"]))
    _pin.chip.update(hello["chip"])
    _clock(hello)
    _storage(hello)
    sys.path[:] = ["", ".frozen", "/lib"]
    del sys.argv[1:]


def _execute(name, scope):
    """Run one file like the chip does; text of what it let escape, or None."""
    try:
        execfile(name, scope)  # noqa: F821
    except SystemExit:
        _power.soft_reset()
    except BaseException as e:
        sys.print_exception(e)
        return "%s: %s" % (type(e).__name__, e)
    return None


def _run():
    scope = {"__name__": "__main__"}
    ended = "firmware ended"
    for name in ("boot.py", "main.py"):
        if name in os.listdir("/"):
            ended = _execute(name, scope) or ended
    _power.counters()
    _link.call(_ops.CRASH, ended.encode())
    while True:  # the chip would sit at its prompt, its watchdog running
        _link.idle(-1)


_start()
gc.collect()
_link.call(_ops.STARTED, struct.pack("<I", gc.mem_alloc()))
_run()
