"""Bootstrap of the VM: shims, clock and flash first, then boot.py and main.py as on the chip."""

import gc
import os
import socket  # noqa: F401
import struct
import sys

import _link
import _ops
import _rom
import _setup
import machine
import network  # noqa: F401


def _files():
    try:
        return os.listdir("/")
    except OSError:
        return ()


def _execute(name, scope):
    """Run one file like the chip does; text of what it let escape, or None."""
    try:
        execfile(name, scope)  # noqa: F821
    except SystemExit:
        machine.soft_reset()
    except BaseException as e:
        sys.print_exception(e)
        return "%s: %s" % (type(e).__name__, e)
    return None


def start(rom, fd, segment):
    """The VM's whole life. `rom` holds the shims; `fd` is the board's end of the channel;
    `segment` is the partition that the chip would map into memory."""
    global _setup  # noqa: PLW0603
    _rom.image = rom
    hello = _setup.set_up(fd, segment)
    prompt, _link.raw = hello["prompt"], hello["raw"]
    del hello
    _setup = None
    del sys.modules["_setup"]
    gc.collect()
    _link.call(_ops.STARTED, struct.pack("<I", gc.mem_alloc()))
    scope = {"__name__": "__main__"}
    ended = "firmware ended"
    for name in ("boot.py", "main.py"):
        if name in _files():
            wrong = _execute(name, scope)
            if wrong:
                ended = wrong
                break  # as on the chip: without boot.py's whole effect main.py does not run
        if _link.raw:
            break  # out of the raw REPL a soft reset comes back to it, by boot.py alone
    machine._counters()
    if not (prompt and ended.startswith(("firmware", "KeyboardInterrupt"))):
        _link.call(_ops.CRASH, ended.encode())
    while not prompt:  # the chip would sit at its prompt, its watchdog running
        _link.idle(-1)
    _rom.module("_repl").run(scope)
