"""What the bootstrap does once: clock, facts of this boot, flash. Then it leaves the heap."""

import json
import os
import sys
import time
from asyncio import core
from collections import namedtuple

import _link
import _ops
import _rom
import _vfs
import esp32
import machine
import utime
import vfs
from flashdev import FlashDevice


def set_up(fd, segment):
    """Attach to the board and bring up clock and files; what it tells of this boot."""
    _link.attach(fd)
    hello = json.loads(_link.call(_ops.HELLO))
    _link.boot_us = hello["boot_us"]
    time.rtc_us = hello["rtc_us"]
    machine._booted = (hello["cause"], hello["wake"], bytes(hello["mac"]))
    # The C task queue stamps runnable tasks with the real 64-bit clock. Timers lie far ahead of
    # it, so that a runnable task never seems to wait for real time to pass.
    _link.ahead = utime.ticks_ms() + (1 << 40)
    core.ticks = _link.ticks
    core.ticks_add, core.ticks_diff = utime.ticks_add, utime.ticks_diff
    for name in hello["chip"]["lacks"]:
        if name in esp32.__dict__:
            delattr(esp32, name)
        else:
            _rom.lacks += (name,)
    image = open(hello["flash"], "r+b")  # noqa: SIM115  open for the VM's life
    after, mode = hello["cut"] or (None, "clean")
    where = (hello["vfs_offset"], hello["vfs_size"])
    _link.flash = FlashDevice(image, *where, _link.cut, after, mode)
    vfs.umount("/")
    _vfs.where = (hello["romfs_offset"], hello["romfs_size"])
    _vfs.segment = segment
    sys.modules["vfs"] = _vfs
    if hello["version"]:
        _call_itself(hello["version"])
    if hello["hardened"]:
        _rom.module("_frozen_boot")
        del sys.modules["_frozen_boot"]
        os.chdir("/")
    elif where[1]:
        _mount(hello["prompt"])
    sys.path[:] = ["", ".frozen", "/lib"]
    return hello


class _Sys:
    # `sys` of a runtime of another version than this VM's.
    def __getattr__(self, name):
        return getattr(sys, name)


def _call_itself(version):
    """Be the version that the runtime's image says, as far as sys.implementation goes."""
    names = ("name", "version", "_machine", "_mpy")
    numbers = tuple([int(part) for part in version.split("-")[0].split(".")]) + ("",)
    told = namedtuple("implementation", names)(
        sys.implementation.name, numbers, sys.implementation._machine, sys.implementation._mpy
    )
    other = _Sys()
    other.implementation = told
    sys.modules["sys"] = other


def _mount(prompt):
    """As the runtime's _boot.py and inisetup.py: a partition that does not mount is formatted if
    its first block is erased, else it is damaged. Not before: a power cut may leave block 0 erased
    while its twin, block 1, holds the file system.
    """
    try:
        _mount_files()
    except OSError:
        first = bytearray(512)
        _link.flash.readblocks(0, first)
        if first == b"\xff" * 512:
            vfs.VfsLfs2.mkfs(_link.flash, progsize=32, readsize=32, lookahead=32)
            _mount_files()
        elif not prompt:
            raise
        else:
            _complain()
            return
    os.chdir("/")


def _mount_files():
    vfs.mount(vfs.VfsLfs2(_link.flash, progsize=32, readsize=32, lookahead=32), "/")


def _complain():
    # As the runtime's inisetup.py: for ever, or until somebody types Ctrl-C.
    _link.call(_ops.PROMPT)
    try:
        while True:
            print("The filesystem appears to be corrupted: erase the flash and program it again.")
            time.sleep_ms(3000)
    except KeyboardInterrupt:
        pass
