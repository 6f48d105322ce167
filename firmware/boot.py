"""Supervisor: watchdog first, then the chosen slot is mounted; main.py runs what it holds.

Two files, since a soft reset out of the raw REPL runs this one only: a technician's tool then has
the prompt to itself, with the slot on the path. Neither is updated over the air.
"""

import machine

# The longest time that anything may keep the node awake. The application, which knows its role,
# constructs the watchdog again with a shorter one.
wdt = machine.WDT(timeout=600_000)

import sys  # noqa: E402  nothing may come before the watchdog

import vfs  # noqa: E402
from micropython import const  # noqa: E402

_SLOTS = ("a",)
_CRASH_SLEEP_MS = const(60_000)  # as in main.py
_HEAD = const(64)  # bytes of an image that hold its digest
_BLOCK = const(4096)
_SEGMENT = const(2)  # operations of vfs.rom_ioctl
_ERASE = const(3)
_WRITE = const(4)
_DONE = const(5)


def choose() -> str:
    """The slot to run. A slot is complete: nothing outside it and the runtime is on the path."""
    return _SLOTS[0]


def install(image, rom) -> None:
    """Copy the slot's image into the mapped partition, its head last: cut short, it has none."""
    size = image.seek(0, 2)
    if size > len(rom):
        raise OSError("the slot's image has %d bytes, its partition %d" % (size, len(rom)))
    vfs.rom_ioctl(_ERASE, 0, size)
    part = bytearray(_BLOCK)
    for at in tuple(range(_BLOCK, size, _BLOCK)) + (0,):
        image.seek(at)
        n = image.readinto(part)
        vfs.rom_ioctl(_WRITE, 0, at, part if n == _BLOCK else part[: (n + 15) & ~15])
    vfs.rom_ioctl(_DONE, 0)


def mount(slot: str) -> str:
    """Where the slot's files are: its bytecode executes in place and takes no heap."""
    rom = vfs.rom_ioctl(_SEGMENT, 0)
    if isinstance(rom, int):
        raise OSError("no romfs partition: flash a partition table that has one")
    with open("/" + slot + ".romfs", "rb") as image:
        if rom[:_HEAD] != image.read(_HEAD):
            install(image, rom)
    try:
        vfs.umount("/rom")  # the runtime mounts what it finds there, maybe the slot before
    except OSError:
        pass
    files = vfs.VfsRom(rom)  # pyright: ignore[reportAttributeAccessIssue]  the stubs lack it
    vfs.mount(files, "/rom")
    return "/rom"


def run() -> None:
    """Put the slot on the path; without one the node sleeps, and tries again."""
    try:
        sys.path[:] = [mount(choose()), ".frozen"]
    except Exception as e:  # whatever is wrong with the slot, the supervisor must outlive it
        sys.print_exception(e)
        machine.deepsleep(_CRASH_SLEEP_MS)
    for name in ("choose", "install", "mount", "run"):
        del globals()[name]  # what is done with leaves the heap


run()
